#pragma once

#include <chrono>
#include <thread>

#include "storage/open_file.hpp"

namespace touka::storage {

/// Opens what another process has locked as soon as it is free: one that has ended holds its locks until the kernel has
/// ended its io_uring, which is worth waiting for a moment. The calling thread sleeps, 5 s at most.
/// @param open () -> std::expected<T, OpenFailure>, called until it fails for another reason than kInUse.
template <class Open>
[[nodiscard]] auto open_when_free(Open open) {
    constexpr std::chrono::milliseconds kPatience{5000}, kPause{50};
    auto file = open();
    for (auto waited = kPause; !file && file.error().error == OpenError::kInUse && waited < kPatience;
         waited += kPause) {
        std::this_thread::sleep_for(kPause);
        file = open();
    }
    return file;
}

} // namespace touka::storage
