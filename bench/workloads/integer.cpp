// Integer code as compilers make it: calls and returns, comparisons through pointers, strings and a heap.
#include <cstdlib>
#include <string>
#include <unordered_map>
#include <vector>

#include "workloads.hpp"

namespace touka::bench {

namespace {

// Takeuchi's function: hardly anything but calls, comparisons and returns.
// NOLINTNEXTLINE(misc-no-recursion)
[[gnu::noinline]] int takeuchi(int x, int y, int z) {
    if (y >= x) return z;
    return takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y));
}

int compare_numbers(const void* left, const void* right) {
    const auto a = *static_cast<const std::uint32_t*>(left);
    const auto b = *static_cast<const std::uint32_t*>(right);
    return a < b ? -1 : static_cast<int>(a > b);
}

} // namespace

Answer recursion(Trial& trial) {
    Answer answer;
    const std::uint64_t rounds = trial.amount(1000);
    for (std::uint64_t round = 0; round < rounds; ++round)
        answer.add(static_cast<std::uint64_t>(takeuchi(18, 12, 6 + static_cast<int>(round % 2))));
    return answer;
}

Answer sorting(Trial& trial) {
    Random random(1);
    std::vector<std::uint32_t> numbers(trial.amount(800'000));
    for (auto& number : numbers) number = static_cast<std::uint32_t>(random.next());
    trial.start_clock();
    std::qsort(numbers.data(), numbers.size(), sizeof(numbers[0]), compare_numbers);
    trial.stop_clock();
    Answer answer;
    for (const auto number : numbers) answer.add(number);
    return answer;
}

// Words of a text are counted, common ones more often than rare ones.
Answer hash_table(Trial& trial) {
    Random random(2);
    std::unordered_map<std::string, std::uint64_t> counts;
    const std::uint64_t words = trial.amount(250'000);
    for (std::uint64_t i = 0; i < words; ++i) {
        const std::uint64_t rank = random.below(1 + random.below(100'000));
        ++counts["word number " + std::to_string(rank)];
    }
    std::uint64_t sum = 0; // of what does not depend on the order in the table
    for (const auto& [word, count] : counts) sum += count * count * word.size();
    Answer answer;
    answer.add(counts.size());
    answer.add(sum);
    return answer;
}

} // namespace touka::bench
