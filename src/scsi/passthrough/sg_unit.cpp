#include "scsi/passthrough/sg_unit.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "scsi/passthrough/sg_command.hpp"
#include "scsi/passthrough/sg_response.hpp"

namespace touka::scsi {

namespace {

constexpr std::size_t kBufferLimit = 1024; // UIO_MAXIOV
constexpr std::size_t kSgCdbLimitBytes = 252;

bool retries_later(int error) { return error == EAGAIN || error == EDOM || error == EBUSY; }

} // namespace

SgUnit::SgUnit(runtime::Reactor& reactor, std::unique_ptr<SgDevice> device, SgUnitConfiguration configuration)
    : reactor_(reactor), device_(std::move(device)), configuration_(std::move(configuration)),
      timer_(reactor.make_timer([this] { on_timer(); })),
      calls_(reactor, device_->asynchronous() ? 0 : std::max(1u, configuration_.thread_count)), resets_(reactor, 1) {
    if (!device_->asynchronous()) return;
    watch_ = reactor.watch(device_->fd(), EPOLLIN, [this](std::uint32_t events) { on_readable(events); });
}

SgUnit::~SgUnit() = default;

SgUnit::Command& SgUnit::take_command(Task& task) {
    if (free_.empty()) free_.push_back(commands_.emplace_back(std::make_unique<Command>()).get());
    Command& command = *free_.back();
    free_.pop_back();
    command.task = &task;
    return command;
}

void SgUnit::submit(Task& task) {
    if (!configuration_.policy.admit(task)) return;
    const bool both = task.data_out_bytes > 0 && task.data_in_limit_bytes > 0;
    if (both || cdb_length(task.cdb) > kSgCdbLimitBytes) return complete_as_unknown_command(task);
    if (gone_) return complete_undelivered(task);
    waiting_.push_back(&take_command(task));
    start_waiting();
}

void SgUnit::prepare(Command& command) {
    const Task& task = *command.task;
    const std::size_t length = cdb_length(task.cdb);
    for (std::size_t i = 0; i < length; ++i) command.cdb[i] = task.cdb[i];
    const bool out = task.data_out_bytes > 0;
    const std::uint64_t bytes =
        std::min<std::uint64_t>(out ? task.data_out_bytes : task.data_in_limit_bytes, std::numeric_limits<int>::max());
    command.buffers.clear();
    if (bytes > 0) {
        const auto from = out ? task.data_out : command.task->data_in(bytes);
        command.buffers.assign(from.begin(), from.end());
    }
    sg_io_hdr& header = command.header = {};
    header.interface_id = 'S';
    header.dxfer_direction = bytes == 0 ? SG_DXFER_NONE : out ? SG_DXFER_TO_DEV : SG_DXFER_FROM_DEV;
    header.cmd_len = static_cast<unsigned char>(length);
    header.cmdp = command.cdb.data();
    header.mx_sb_len = static_cast<unsigned char>(command.sense.size());
    header.sbp = command.sense.data();
    header.timeout = configuration_.command_limit_ms;
    header.usr_ptr = &command;
    header.dxfer_len = static_cast<unsigned>(bytes);
    if (command.buffers.size() == 1) {
        header.dxferp = command.buffers.front().iov_base;
        header.flags = SG_FLAG_DIRECT_IO; // a wish: without it, or where pages do not fit, the kernel copies
    } else if (!command.buffers.empty()) {
        header.dxferp = command.buffers.data();
        header.iovec_count = static_cast<unsigned short>(command.buffers.size());
    }
}

void SgUnit::start_waiting() {
    while (!waiting_.empty() && started_.size() < kQueueLimit) {
        Command& command = *waiting_.front();
        waiting_.pop_front();
        prepare(command);
        if (command.header.dxfer_len > 0 && command.buffers.empty()) {
            fail(command, ENOMEM);
        } else if (command.buffers.size() > kBufferLimit) {
            fail(command, EINVAL);
        } else if (!device_->asynchronous()) {
            start(command);
        } else if (const int error = device_->begin(command.header); error == 0) {
            started_.push_back(&command);
        } else if (retries_later(error) && !started_.empty()) {
            waiting_.push_front(&command); // again when one of those has ended
            return;
        } else {
            fail(command, error);
        }
    }
}

void SgUnit::start(Command& command) {
    started_.push_back(&command);
    calls_.start([device = device_.get(), header = &command.header] { return device->execute(*header); },
                 [this, &command](int error) {
                     if (error == 0) return finish(command);
                     std::erase(started_, &command);
                     fail(command, error);
                 });
}

void SgUnit::on_readable(std::uint32_t epoll_events) {
    sg_io_hdr header{};
    int error = 0;
    while ((error = device_->take(header)) == 0) {
        auto& command = *static_cast<Command*>(header.usr_ptr);
        command.header = header;
        finish(command);
    }
    if (error == EAGAIN && (epoll_events & (EPOLLERR | EPOLLHUP)) == 0) return;
    // The device was removed: the kernel gives nothing back any more.
    gone_ = true;
    watch_->set_events(0);
    watch_.reset();
    for (Command* command : std::exchange(started_, {})) fail(*command, ENODEV);
    for (Command* command : std::exchange(waiting_, {})) fail(*command, ENODEV);
}

void SgUnit::finish(Command& command) {
    std::erase(started_, &command);
    Task& task = *command.task;
    take_sg_response(task, command.header, command.sense);
    release(command);
    task.complete();
    finish_waits();
    start_waiting();
}

void SgUnit::fail(Command& command, int error) {
    Task& task = *command.task;
    take_sg_error(task, error);
    release(command);
    task.complete();
    finish_waits();
}

void SgUnit::release(Command& command) {
    forget(command);
    command.task = nullptr;
    free_.push_back(&command);
}

} // namespace touka::scsi
