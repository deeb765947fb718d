#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <optional>
#include <span>

#include "devices/nvme/segment_list.hpp"
#include "memory/dma_space.hpp"
#include "spec/nvme/command.hpp"
#include "storage/block_device.hpp"

namespace touka::devices::nvme {

class Controller;
class Namespace;
class NamespaceView;
class SubmissionQueue;
struct Request;

/// What a handler of a command says: a status when it is done, nothing when it will call Controller::complete later.
using Outcome = std::optional<spec::nvme::Status>;

/// Not a guest's: the namespace is a fused pair's just now, and the command's handler is called again after it.
inline constexpr auto kBehindPair = static_cast<spec::nvme::Status>(0xFFFF);

/// One command from its fetch to its completion. All of it belongs to the controller's reactor.
struct Request {
    using Continuation = void (*)(Controller&, Request&, storage::BlockStatus);

    SubmissionQueue* queue = nullptr;
    spec::nvme::SubmissionEntry command{}; ///< a copy; the guest's may change
    std::uint32_t dw0 = 0, dw1 = 0;        ///< of the completion

    NamespaceView* ns = nullptr;
    SegmentList data; ///< guest memory, good as long as it is held
    memory::DmaHold hold;
    bool hold_due = false;              ///< it has not begun; what it names is within the controller's use
    memory::DmaUses::Use namespace_use; ///< who waits for the namespace to be quiet waits for this
    storage::BlockRequest block;
    Continuation then = nullptr; ///< what follows when `block` is done

    // Commands of several steps, and those that need memory of ours.
    std::span<std::byte> bounce;
    Outcome (*start)(Controller&, Request&) = nullptr; ///< runs when there is a bounce buffer
    iovec bounce_vector{};
    std::uint32_t step = 0, step_count = 0;
    std::uint64_t position = 0;

    // Fused operations. (Base 2.0 §3.4.2)
    Request* second = nullptr;      ///< of a pair's first command: what follows it
    Namespace* exclusive = nullptr; ///< of a pair's second command: nobody else's until it is done

    bool busy = false;       ///< fetched, and not completed
    Request* next = nullptr; ///< in the list that it is in: free ones, or those that wait for a bounce buffer
};

} // namespace touka::devices::nvme
