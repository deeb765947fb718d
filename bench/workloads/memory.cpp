// Memory: loads that wait for each other (in a cache, over many pages, in DRAM), and moving blocks.
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "workloads.hpp"

namespace touka::bench {

namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kPage = 4096;

// Follows a cycle through all of `count` places that lie `stride` bytes apart, `steps` times.
Answer chase(Trial& trial, std::size_t count, std::size_t stride, std::uint64_t steps) {
    Random random(8);
    std::vector<std::uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0U);
    for (std::size_t i = count - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
    // Places of pages are put into different lines, or they would all fall into the same sets of the caches.
    const auto place = [&](std::size_t i) { return i * stride + (stride > kLine ? i % (stride / kLine) * kLine : 0); };
    std::vector<unsigned char> memory(count * stride);
    for (std::size_t i = 0; i < count; ++i) {
        const auto next = static_cast<std::uint64_t>(place(order[(i + 1) % count]));
        std::memcpy(&memory[place(order[i])], &next, sizeof(next));
    }
    std::uint64_t at = place(order[0]);
    trial.start_clock();
    for (std::uint64_t step = 0; step < steps; ++step) std::memcpy(&at, &memory[at], sizeof(at));
    Answer answer;
    answer.add(at);
    return answer;
}

using Move = void (*)(unsigned char* to, const unsigned char* from, std::size_t length);

// Moves blocks of all sizes up to `longest`, to and from all alignments.
Answer move_blocks(Trial& trial, std::uint64_t blocks, std::size_t longest, Move move) {
    Random random(9);
    std::vector<unsigned char> memory(4 * longest + kLine);
    for (auto& byte : memory) byte = static_cast<unsigned char>(random.next());
    trial.start_clock();
    for (std::uint64_t block = 0; block < blocks; ++block) {
        const std::uint64_t bits = random.next();
        unsigned char* const one = &memory[bits % kLine];
        unsigned char* const other = &memory[2 * longest + (bits >> 8) % kLine];
        const std::size_t length = (bits >> 16) % longest;
        if ((bits >> 63) != 0)
            move(one, other, length);
        else
            move(other, one, length);
    }
    trial.stop_clock();
    Answer answer;
    answer.add(memory);
    return answer;
}

} // namespace

Answer chase_cache(Trial& trial) { return chase(trial, 256, kLine, trial.amount(60'000'000)); }

Answer chase_pages(Trial& trial) { return chase(trial, 2048, kPage, trial.amount(10'000'000)); }

Answer chase_memory(Trial& trial) {
    return chase(trial, (std::size_t{64} << 20) / kLine, kLine, trial.amount(1'000'000));
}

Answer copy(Trial& trial) {
    return move_blocks(
        trial, trial.amount(40'000), std::size_t{128} << 10,
        [](unsigned char* to, const unsigned char* from, std::size_t length) { std::memcpy(to, from, length); });
}

Answer string_move(Trial& trial) {
    return move_blocks(trial, trial.amount(40'000), std::size_t{64} << 10,
                       [](unsigned char* to, const unsigned char* from, std::size_t length) {
                           asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
                       });
}

} // namespace touka::bench
