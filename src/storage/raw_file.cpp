#include "storage/raw_file.hpp"

#include <algorithm>

#include "storage/thread_queue.hpp"
#include "storage/uring_queue.hpp"

namespace touka::storage {

namespace {
constexpr std::uint32_t kMaxDepth = 4096;
}

std::expected<std::unique_ptr<RawFile>, OpenFailure> RawFile::open(const std::string& path, const Options& options) {
    auto file = open_file(path, options);
    if (!file) return std::unexpected(std::move(file.error()));
    Backend backend = options.backend;
    if (backend != Backend::kThreads) backend = UringQueue::permitted() ? Backend::kUring : Backend::kThreads;
    const std::uint32_t depth = std::clamp(options.depth, 1u, kMaxDepth);
    return std::unique_ptr<RawFile>(new RawFile(std::move(*file), backend, depth));
}

std::unique_ptr<BlockDevice> RawFile::open_queue(runtime::Reactor& reactor) {
    if (backend_ == Backend::kUring) {
        if (auto queue = UringQueue::create(file_, reactor, depth_)) return queue;
    }
    return std::make_unique<ThreadQueue>(file_, reactor, depth_);
}

} // namespace touka::storage
