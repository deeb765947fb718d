// Remote devices for tests: one with a served TestDevice behind it, and one whose server says what a test likes.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "devices/passthrough/vfio_user/remote_device.hpp"
#include "devices/passthrough/vfio_user/test_client.hpp"
#include "memory/guest_memory.hpp"

namespace touka::devices::passthrough::test {

class Remote {
public:
    static constexpr std::uint64_t kRamBytes = 1 << 20;

    explicit Remote(std::chrono::milliseconds answer_limit = std::chrono::milliseconds(3000),
                    bool address_translation = false) {
        auto connected = RemoteDevice::connect({.name = "remote",
                                                .dial = [this]() -> std::expected<runtime::UniqueFd, std::string> {
                                                    if (down) return std::unexpected("down");
                                                    return server.connect();
                                                },
                                                .answer_limit = answer_limit,
                                                .reset_limit = answer_limit,
                                                .retry = std::chrono::milliseconds(10),
                                                .address_translation = address_translation},
                                               dma);
        if (connected) device = std::move(*connected);
    }
    ~Remote() {
        down = true;
        device.reset();
    }
    std::byte* at(std::uint64_t address) const { return ram->base() + address; }

    TestServer server;
    std::unique_ptr<memory::GuestMemory> ram = memory::GuestMemory::create(kRamBytes).value();
    memory::IdentityDmaSpace dma{*ram};
    std::atomic<bool> down{false};
    std::unique_ptr<RemoteDevice> device;
};

class Listener final : public TransportListener {
public:
    void device_lost() override { count(lost_); }
    void device_returned() override { count(returned_); }
    /// Until it was told so often.
    void wait_for(int lost, int returned) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::seconds(5), [&] { return lost_ >= lost && returned_ >= returned; });
    }

private:
    void count(int& counter) {
        const std::scoped_lock lock(mutex_);
        ++counter;
        changed_.notify_all();
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    int lost_ = 0, returned_ = 0;
};

/// What a small device with one BAR answers.
inline std::vector<std::byte> proper_answer(const Message& question) {
    const std::uint32_t index = question.at<std::uint32_t>(8).value_or(0);
    std::vector<std::byte> payload;
    switch (question.command()) {
        case Command::kVersion: append(payload, wire::Version{0, 1}); break;
        case Command::kDeviceGetInfo: append(payload, wire::DeviceInfo{16, 3, 9, 5}); break;
        case Command::kDeviceGetRegionInfo: {
            const std::uint64_t size = index == 0 || index == 7 ? 4096 : 0;
            append(payload, spec::vfio::RegionInfo{32, 3, index, 0, size, 0});
            break;
        }
        case Command::kDeviceGetIrqInfo: append(payload, spec::vfio::IrqInfo{16, 1, index, 1}); break;
        case Command::kDmaUnmap: payload = question.payload; break;
        case Command::kRegionRead: {
            const auto access = question.at<wire::RegionAccess>().value_or(wire::RegionAccess{});
            append(payload, access);
            payload.resize(payload.size() + std::min<std::uint32_t>(access.count, 4096));
            break;
        }
        default: break;
    }
    return payload;
}

/// Answers each command as a small device would, or as `answers` say: by command and by the index in the question, or
/// any (~0).
class FakeServer {
public:
    FakeServer() {
        auto [ours, theirs] = runtime::DescriptorSocket::pair();
        theirs_ = std::move(theirs);
        channel_ = std::make_unique<MessageChannel>(std::move(ours));
    }
    ~FakeServer() {
        device_gone_ = true;
        if (thread_.joinable()) thread_.join();
    }
    std::expected<std::unique_ptr<RemoteDevice>, std::string>
    connect(std::chrono::milliseconds limit = std::chrono::milliseconds(3000), bool address_translation = false) {
        thread_ = std::thread([this] { run(); });
        auto device = RemoteDevice::connect({.name = "fake",
                                             .dial = [this]() -> std::expected<runtime::UniqueFd, std::string> {
                                                 if (!theirs_) return std::unexpected("once only");
                                                 return std::move(theirs_);
                                             },
                                             .answer_limit = limit,
                                             .reset_limit = limit,
                                             .address_translation = address_translation},
                                            dma_);
        return device;
    }
    /// A command of the server's. @return the errno of the client's reply.
    int ask(Command command, std::span<const std::byte> payload) {
        std::unique_lock lock(mutex_);
        reply_.reset();
        (void)channel_->send({77, static_cast<std::uint16_t>(command), 0, 0, 0}, payload);
        arrived_.wait_for(lock, std::chrono::seconds(3), [&] { return reply_.has_value(); });
        if (!reply_) return -1;
        return (reply_->header.flags & wire::kError) != 0 ? static_cast<int>(reply_->header.error) : 0;
    }
    /// The client's last reply, without error.
    [[nodiscard]] std::vector<std::byte> answer_to_last() {
        const std::scoped_lock lock(mutex_);
        return reply_->payload;
    }

    [[nodiscard]] std::byte* at(std::uint64_t address) const { return ram_->base() + address; }

    std::map<std::pair<Command, std::uint32_t>, std::vector<std::byte>> answers;

private:
    void run() {
        while (!device_gone_) {
            pollfd ready{channel_->fd(), POLLIN, 0};
            if (::poll(&ready, 1, 20) <= 0) continue;
            auto message = channel_->receive();
            if (!message) return;
            if (!*message) continue;
            const std::scoped_lock lock(mutex_);
            if ((*message)->is_reply()) {
                reply_ = std::move(**message);
                arrived_.notify_all();
            } else if ((*message)->wants_reply()) {
                answer(**message);
            }
        }
    }
    void answer(const Message& message) {
        const std::uint32_t index = message.at<std::uint32_t>(8).value_or(0);
        std::vector<std::byte> payload;
        auto chosen = answers.find({message.command(), index});
        if (chosen == answers.end()) chosen = answers.find({message.command(), ~0u});
        if (chosen != answers.end()) {
            payload = chosen->second;
        } else {
            payload = proper_answer(message);
        }
        (void)channel_->send({message.header.message_id, message.header.command, 0, wire::kTypeReply, 0}, payload);
    }
    runtime::UniqueFd theirs_;
    std::unique_ptr<MessageChannel> channel_;
    std::unique_ptr<memory::GuestMemory> ram_ = memory::GuestMemory::create(1 << 20).value();
    memory::IdentityDmaSpace dma_{*ram_};
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::optional<Message> reply_;
    std::atomic<bool> device_gone_{false};
    std::thread thread_;
};

} // namespace touka::devices::passthrough::test
