#include "devices/passthrough/vfio_user/remote_device.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/descriptor_socket.hpp"

namespace touka::devices::passthrough {

using namespace spec::vfio;
using namespace spec::vfio_user;

namespace {

/// Copies 1, 2, 4 or 8 bytes as the one access that they are, and more as memory.
void copy_access(std::span<std::byte> to, std::span<const std::byte> from) {
    const auto copy_as = [&]<class T>(T) {
        T value;
        std::memcpy(&value, from.data(), sizeof value);
        std::atomic_ref(*reinterpret_cast<T*>(to.data())).store(value, std::memory_order_relaxed);
    };
    const bool aligned = reinterpret_cast<std::uintptr_t>(to.data()) % to.size() == 0;
    if (aligned && to.size() == 8) return copy_as(std::uint64_t{});
    if (aligned && to.size() == 4) return copy_as(std::uint32_t{});
    if (aligned && to.size() == 2) return copy_as(std::uint16_t{});
    std::memcpy(to.data(), from.data(), to.size());
}

/// Data of one message, as the server wants it; at least what one access has.
std::size_t transfer_bytes(const ClientConnection& connection) {
    constexpr std::uint64_t kWidestAccess = 8;
    return static_cast<std::size_t>(std::clamp<std::uint64_t>(connection.server().max_transfer_bytes, kWidestAccess,
                                                              MessageChannel::kTransferLimitBytes));
}

} // namespace

// --- the connection, and the next one ---

std::expected<std::unique_ptr<RemoteDevice>, std::string> RemoteDevice::connect(Settings settings,
                                                                                memory::DmaSpace& dma) {
    auto device = std::unique_ptr<RemoteDevice>(new RemoteDevice(std::move(settings), dma));
    auto link = device->establish();
    if (!link) return std::unexpected(link.error());
    device->shape_ = link->layout;
    device->translates_ = link->connection->server().address_translation;
    *device->link_.lock() = std::move(*link);
    if (device->link().connection->lost()) return std::unexpected("the server has gone");
    return device;
}

std::function<std::expected<runtime::UniqueFd, std::string>()> RemoteDevice::dialer(std::string path) {
    return [path = std::move(path)]() -> std::expected<runtime::UniqueFd, std::string> {
        auto socket = runtime::DescriptorSocket::dial(path);
        if (!socket) return std::unexpected(socket.error());
        return std::move(*socket).release();
    };
}

RemoteDevice::RemoteDevice(Settings settings, memory::DmaSpace& dma)
    : settings_(std::move(settings)), dma_(dma), faults_(settings_.name) {
    retry_ = recovery_.make_timer([this] { recover(); });
}

RemoteDevice::~RemoteDevice() {
    ending_ = true;
    if (auto connection = link().connection) connection->fail(); // a recovery that waits ends
    recovery_.run_and_wait([this] { retry_.reset(); });          // after what may be about to arm it
    *link_.lock() = Link{};
}

void RemoteDevice::set_listener(TransportListener* listener) {
    const std::scoped_lock lock(listener_mutex_);
    listener_ = listener;
}

std::expected<RemoteDevice::Link, std::string> RemoteDevice::establish() {
    auto socket = settings_.dial();
    if (!socket) return std::unexpected(socket.error());
    Link made;
    made.connection = std::make_shared<ClientConnection>(
        reader_, std::move(*socket), [this](const Message& command) { return serve(command); },
        [this] { recovery_.post([this] { on_lost(); }); });
    if (const auto introduced = made.connection->introduce(settings_.answer_limit, settings_.address_translation);
        !introduced) {
        return std::unexpected(introduced.error());
    }
    auto layout = RemoteLayout::ask(*made.connection, settings_.answer_limit);
    if (!layout) return std::unexpected(layout.error());
    made.layout = std::move(*layout);
    return made;
}

void RemoteDevice::on_lost() {
    const auto connection = link().connection;
    if (ending_ || !connection || !connection->lost()) return; // one that never was in use
    {
        auto now = link_.lock();
        now->connection.reset();
    }
    {
        const std::scoped_lock lock(listener_mutex_);
        if (listener_) listener_->device_lost();
    }
    retry_->arm(recovery_.now_ns());
}

void RemoteDevice::recover() {
    if (ending_ || link().connection) return;
    const auto again = [this] {
        const auto wait = std::chrono::nanoseconds(settings_.retry).count();
        if (!ending_) retry_->arm(recovery_.now_ns() + static_cast<std::uint64_t>(wait));
    };
    auto made = establish();
    if (!made || !made->layout->same_shape(*shape_) || made->connection->server().address_translation != translates_) {
        return again();
    }
    if (can_reset() && !made->connection->call(Command::kDeviceReset, {}, settings_.reset_limit)) return again();
    // Without the lock: the server may ask for memory meanwhile.
    std::vector<MemoryGrant> grants;
    std::uint64_t changes = 0;
    bool addresses_are_translated = false;
    {
        const std::scoped_lock lock(grants_mutex_);
        for (const auto& [start, grant] : grants_) grants.push_back(grant);
        changes = grant_changes_;
        addresses_are_translated = addresses_are_translated_;
    }
    for (const MemoryGrant& grant : grants) {
        if (!send_grant(*made->connection, grant)) return again();
    }
    if (translates_ && addresses_are_translated) {
        const AddressExtent all;
        if (!send_invalidation(*made->connection, std::span(&all, 1), true)) return again();
    }
    {
        const std::scoped_lock lock(grants_mutex_);
        if (grant_changes_ != changes) return again(); // it would have more or less than it is granted
        *link_.lock() = *made;
    }
    const std::scoped_lock lock(listener_mutex_);
    if (listener_) listener_->device_returned();
}

RemoteDevice::Link RemoteDevice::link() { return *link_.lock(); }

std::expected<Message, TransportError> RemoteDevice::call(Command command, std::span<const std::byte> payload,
                                                          std::span<const int> descriptors) {
    const auto connection = link().connection;
    if (!connection) return std::unexpected(TransportError::kGone);
    return connection->call(command, payload, settings_.answer_limit, descriptors);
}

// --- regions ---

std::uint64_t RemoteDevice::region_bytes(std::uint32_t region) const {
    return region < shape_->regions.size() ? shape_->regions[region].length_bytes : 0;
}

InterruptDescription RemoteDevice::interrupts(std::uint32_t index) const {
    return index < shape_->interrupts.size() ? shape_->interrupts[index] : InterruptDescription{};
}

RegionMemory RemoteDevice::region_memory(std::uint32_t region) {
    const Link now = link();
    RegionMemory memory;
    if (!now.connection || now.connection->lost() || region >= now.layout->regions.size()) return memory;
    const RemoteRegion& from = now.layout->regions[region];
    for (const RemoteArea& area : from.areas) memory.areas.push_back({area.offset, area.mapping.bytes()});
    // A store to a doorbell's place would ring nobody.
    for (const RemoteDoorbell& doorbell : from.doorbells) {
        memory.holes.push_back({doorbell.offset, std::max<std::uint64_t>(doorbell.width_bytes, 1)});
    }
    memory.writable = from.writable;
    memory.keeper = now.layout;
    return memory;
}

DeviceTransport::Result RemoteDevice::read(std::uint32_t region, std::uint64_t offset, std::span<std::byte> to) {
    const Link now = link();
    if (!now.connection || now.connection->lost()) return std::unexpected(TransportError::kGone);
    if (region >= now.layout->regions.size()) return std::unexpected(TransportError::kRefused);
    const auto mapped = now.layout->regions[region].mapped(offset, to.size());
    if (!mapped.empty()) {
        copy_access(to, mapped);
        return {};
    }
    const auto most = transfer_bytes(*now.connection);
    while (!to.empty()) {
        const RegionAccess access{offset, region, static_cast<std::uint32_t>(std::min(to.size(), most))};
        const auto reply = now.connection->call(Command::kRegionRead, bytes_of(access), settings_.answer_limit);
        if (!reply) return std::unexpected(reply.error());
        const auto data = reply->after(sizeof access);
        if (data.size() != access.count) return std::unexpected(TransportError::kRefused);
        std::ranges::copy(data, to.begin());
        offset += access.count;
        to = to.subspan(access.count);
    }
    return {};
}

DeviceTransport::Result RemoteDevice::write(std::uint32_t region, std::uint64_t offset,
                                            std::span<const std::byte> from) {
    const Link now = link();
    if (!now.connection || now.connection->lost()) return std::unexpected(TransportError::kGone);
    if (region >= now.layout->regions.size()) return std::unexpected(TransportError::kRefused);
    const RemoteRegion& target = now.layout->regions[region];
    std::uint64_t value = 0;
    std::memcpy(&value, from.data(), std::min(from.size(), sizeof value));
    for (const RemoteDoorbell& doorbell : target.doorbells) {
        if (!doorbell.rings(offset, from.size(), value)) continue;
        doorbell.event->signal();
        return {};
    }
    const auto mapped = target.writable ? target.mapped(offset, from.size()) : std::span<std::byte>();
    if (!mapped.empty()) {
        copy_access(mapped, from);
        return {};
    }
    std::vector<std::byte> payload;
    append(payload, RegionAccess{offset, region, static_cast<std::uint32_t>(from.size())});
    payload.insert(payload.end(), from.begin(), from.end());
    const bool posted = settings_.posted_writes && region != VFIO_PCI_CONFIG_REGION_INDEX;
    if (posted && now.connection->post(Command::kRegionWrite, payload)) return {};
    const auto reply = now.connection->call(Command::kRegionWrite, payload, settings_.answer_limit);
    if (!reply) return std::unexpected(reply.error());
    return {};
}

// --- interrupts ---

DeviceTransport::Result RemoteDevice::set_irqs(std::uint32_t flags, std::uint32_t index, std::uint32_t start,
                                               std::uint32_t count, std::span<const int> descriptors) {
    const auto reply =
        call(Command::kDeviceSetIrqs, bytes_of(IrqSet{sizeof(IrqSet), flags, index, start, count}), descriptors);
    if (!reply) return std::unexpected(reply.error());
    return {};
}

DeviceTransport::Result RemoteDevice::set_events(std::uint32_t index, std::uint32_t start,
                                                 std::span<const int> events) {
    const auto connection = link().connection;
    if (!connection) return std::unexpected(TransportError::kGone);
    const auto most =
        std::clamp<std::uint64_t>(connection->server().max_message_descriptors, 1, MessageChannel::kDescriptorLimit);
    while (!events.empty()) {
        const auto some = events.first(std::min<std::size_t>(events.size(), most));
        const auto count = static_cast<std::uint32_t>(some.size());
        const auto set = set_irqs(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, start, count, some);
        if (!set) return set;
        start += count;
        events = events.subspan(count);
    }
    return {};
}

DeviceTransport::Result RemoteDevice::unmask(std::uint32_t index, std::uint32_t number) {
    const IrqSet set{sizeof set, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, index, number, 1};
    // After each access to a BAR, perhaps: without waiting, as for the write before it.
    const auto connection = link().connection;
    if (connection && settings_.posted_writes && connection->post(Command::kDeviceSetIrqs, bytes_of(set))) return {};
    return set_irqs(set.flags, index, number, 1);
}

DeviceTransport::Result RemoteDevice::disable(std::uint32_t index) {
    return set_irqs(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0);
}

// --- reset and migration ---

DeviceTransport::Result RemoteDevice::reset() {
    const auto connection = link().connection;
    if (!connection) return std::unexpected(TransportError::kGone);
    const auto reply = connection->call(Command::kDeviceReset, {}, settings_.reset_limit);
    if (!reply) return std::unexpected(reply.error());
    return {};
}

DeviceTransport::Result RemoteDevice::set_migration_state(MigrationState state) {
    std::vector<std::byte> payload;
    append(payload,
           spec::vfio_user::DeviceFeature{sizeof(spec::vfio_user::DeviceFeature) + sizeof(MigrationDeviceState),
                                          VFIO_DEVICE_FEATURE_SET |
                                              static_cast<std::uint32_t>(spec::vfio::DeviceFeature::kMigDeviceState)});
    append(payload, MigrationDeviceState{std::to_underlying(state), 0});
    const auto connection = link().connection;
    if (!connection) return std::unexpected(TransportError::kGone);
    const auto reply = connection->call(Command::kDeviceFeature, payload, settings_.reset_limit);
    if (!reply) return std::unexpected(reply.error());
    return {};
}

namespace {

/// More than any device has; a server cannot make the machine keep more.
constexpr std::size_t kStateLimitBytes = std::size_t{256} << 20;
constexpr std::uint32_t kStateStepBytes = 512 * 1024;

} // namespace

std::expected<std::vector<std::byte>, TransportError> RemoteDevice::read_state() {
    std::vector<std::byte> state;
    while (true) {
        const MigrationData question{sizeof question + kStateStepBytes, kStateStepBytes};
        const auto reply = call(Command::kMigDataRead, bytes_of(question));
        if (!reply) return std::unexpected(reply.error());
        const auto answer = reply->at<MigrationData>();
        // Servers may fill the message up behind the data.
        const auto room = reply->after(sizeof *answer);
        if (!answer || answer->size > std::min<std::size_t>(room.size(), kStateStepBytes) ||
            answer->size > kStateLimitBytes - state.size()) {
            return std::unexpected(TransportError::kRefused);
        }
        const auto data = room.first(answer->size);
        state.insert(state.end(), data.begin(), data.end());
        if (data.size() < kStateStepBytes) return state;
    }
}

DeviceTransport::Result RemoteDevice::write_state(std::span<const std::byte> state) {
    while (!state.empty()) {
        const auto part = state.first(std::min<std::size_t>(state.size(), kStateStepBytes));
        std::vector<std::byte> payload;
        const auto size = static_cast<std::uint32_t>(part.size());
        append(payload, MigrationData{static_cast<std::uint32_t>(sizeof(MigrationData)) + size, size});
        payload.insert(payload.end(), part.begin(), part.end());
        const auto reply = call(Command::kMigDataWrite, payload);
        if (!reply) return std::unexpected(reply.error());
        state = state.subspan(part.size());
    }
    return {};
}

} // namespace touka::devices::passthrough
