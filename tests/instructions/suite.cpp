#include "instructions/suite.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "instructions/comparison.hpp"
#include "instructions/values.hpp"

namespace touka::tests::instructions {
namespace {

constexpr unsigned kShownPerForm = 2;
constexpr unsigned kShownForms = 60;

} // namespace

Memory random_memory(Random& random) {
    Memory memory;
    for (std::size_t n = 0; n < memory.pages.size(); ++n) {
        if (kPages[n].executable)
            memory.pages[n].fill(0xCC);
        else
            fill_interesting(random, memory.pages[n].data(), memory.pages[n].size());
    }
    return memory;
}

const Result& Suite::check(const std::string& form, Case& test) {
    for (std::size_t n = 0; n < test.bytes.size(); ++n) *test.memory.at(test.before.rip + n) = test.bytes[n];
    host_.run(test, expected_);
    if (!host_.is_telling(test, expected_)) {
        ++not_told_;
        return expected_;
    }
    engine_.run(test, actual_);
    ++runs_;
    if (expected_.vector < vectors_.size()) ++vectors_[expected_.vector];
    const std::string found = differences(test, expected_, actual_);
    if (found.empty()) return expected_;
    ++differing_;
    auto& [count, text] = by_form_[form];
    if (++count <= kShownPerForm) text += describe(test) + found;
    return expected_;
}

void Suite::report(std::size_t forms, std::uint64_t seed) const {
    unsigned shown = 0;
    for (const auto& [form, what] : by_form_) {
        if (++shown <= kShownForms) fmt::print("{}: {} runs differ\n{}", form, what.first, what.second);
    }
    for (const auto& [form, what] : by_form_) fmt::print("DIFFERS {}: {}\n", form, what.first);
    fmt::print("{} forms, {} runs on {} and {}, {} differences; seed {:#x}\nended by exception:", forms, runs_,
               host_.name(), engine_.name(), differing_, seed);
    for (std::size_t n = 0; n < vectors_.size(); ++n) {
        if (vectors_[n] != 0) fmt::print(" {}: {}", n, vectors_[n]);
    }
    fmt::print("\n");
    if (not_told_ != 0) {
        fmt::print(
            "{} runs not compared: this host's kernel runs {} and keeps no stack pointer that is not canonical\n",
            not_told_, host_.runs_32bit_code() ? "32-bit code" : "no 32-bit code");
    }
}

} // namespace touka::tests::instructions
