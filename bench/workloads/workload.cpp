#include "workload.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include <fmt/format.h>

namespace touka::bench {

std::string_view name_of(Group group) {
    switch (group) {
        case Group::kInteger: return "integer";
        case Group::kFloatingPoint: return "fp/simd";
        case Group::kMemory: return "memory";
        case Group::kKernel: return "kernel";
        case Group::kThreads: return "threads";
    }
    return "";
}

std::uint64_t Trial::amount(std::uint64_t full) const {
    return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::llround(static_cast<double>(full) * scale_)));
}

double Trial::seconds() const {
    const auto end = stop_ == Clock::time_point{} ? Clock::now() : stop_;
    return std::chrono::duration<double>(end - start_).count();
}

void Answer::add(std::span<const unsigned char> bytes) {
    for (const unsigned char byte : bytes) hash_ = (hash_ ^ byte) * 0x100'0000'01b3;
}

void Answer::add(std::uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) hash_ = (hash_ ^ (value >> shift & 0xff)) * 0x100'0000'01b3;
}

void give_up(std::string_view what) {
    const int error = errno;
    fmt::print(stderr, "cpu_workloads: {}{}{}\n", what, error == 0 ? "" : ": ",
               error == 0 ? "" : std::generic_category().message(error));
    std::_Exit(EXIT_FAILURE);
}

void require(bool holds, std::string_view what) {
    if (!holds) give_up(what);
}

std::uint64_t Random::next() {
    state_ += 0x9e37'79b9'7f4a'7c15;
    std::uint64_t mixed = (state_ ^ state_ >> 30) * 0xbf58'476d'1ce4'e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d0'49bb'1331'11eb;
    return mixed ^ mixed >> 31;
}

} // namespace touka::bench
