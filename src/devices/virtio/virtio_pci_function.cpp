#include "devices/virtio/virtio_pci_function.hpp"

#include <sys/epoll.h>

#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "devices/virtio/virtio_pci_state.hpp"
#include "spec/pci/capability.hpp"
#include "spec/virtio/pci_transport.hpp"

namespace touka::devices::virtio {

using namespace spec::virtio;
using platform::BarKind;

namespace {

constexpr std::uint64_t kTransportFeatures = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;
constexpr unsigned kNotifyBytes = 2; // drivers write the queue's number, 16 bits (§4.1.5.2)

std::uint64_t platform_features(const VirtioPciContext& context) {
    return context.access_platform ? VIRTIO_F_ACCESS_PLATFORM : 0;
}

platform::PciIdentity identity(const VirtioDevice& device) {
    const auto id = static_cast<std::uint16_t>(kPciDeviceBase + std::to_underlying(device.device_id()));
    return {.vendor_id = kPciVendor,
            .device_id = id,
            .revision_id = kPciRevision,
            .class_code = device.pci_class_code(),
            .subsystem_vendor_id = kPciVendor,
            .subsystem_id = id};
}

std::uint16_t vector_count(const VirtioDevice& device) {
    return static_cast<std::uint16_t>(device.queue_sizes().size() + 1); // and one for the configuration
}

} // namespace

VirtioPciFunction::VirtioPciFunction(std::string name, std::unique_ptr<VirtioDevice> device,
                                     const VirtioPciContext& context)
    : PciFunction(std::move(name), identity(*device)), context_(context), device_(std::move(device)),
      common_(TransportFeatures{.offered = device_->device_features() | kTransportFeatures | platform_features(context),
                                .required = VIRTIO_F_VERSION_1 | platform_features(context)},
              device_->queue_sizes(), vector_count(*device_)),
      isr_(pin()) {
    assert(device_->queue_sizes().size() <= kQueueLimit);
    define_bar(kRegisterBar, BarKind::kMemory64, kBarBytes, registers_);
    set_interrupt_pin(1);
    add_structures();
    add_msix(kMsixBar, vector_count(*device_), context.msi);
    add_power_management();
    add_express_endpoint();
    for (const std::uint16_t size : device_->queue_sizes()) {
        ports_.push_back(std::make_unique<QueuePort>(context.dma, size));
    }
    device_->connect(*this);
    if (device_->foreign_queues() != nullptr) return; // their doorbells are heard elsewhere
    for (unsigned i = 0; i < ports_.size(); ++i) {
        ports_[i]->watch =
            context.reactor.watch(ports_[i]->doorbell.fd(), EPOLLIN, [this, i](std::uint32_t) { on_doorbell(i); });
    }
}

VirtioPciFunction::~VirtioPciFunction() {
    detach();
    // The device goes on the reactor, where its requests and its back end are.
    context_.reactor.run_and_wait([this] {
        for (const auto& port : ports_) port->watch.reset();
        device_.reset();
    });
}

std::uint32_t VirtioPciFunction::add_structure(StructureType type, std::uint32_t offset, std::uint32_t length,
                                               std::uint32_t extra_bytes) {
    std::vector<std::uint8_t> body(sizeof(PciCapability) + extra_bytes);
    PciCapability capability{};
    capability.cap_len = static_cast<std::uint8_t>(body.size());
    capability.cfg_type = std::to_underlying(type);
    capability.bar = kRegisterBar;
    capability.offset = offset;
    capability.length = length;
    std::memcpy(body.data(), &capability, sizeof capability);
    if (type == StructureType::kNotify) std::memcpy(body.data() + sizeof capability, &kNotifyMultiplier, 4);
    return add_capability(spec::pci::CapabilityId::kVendorSpecific, body);
}

void VirtioPciFunction::add_structures() {
    (void)add_structure(StructureType::kCommon, kCommonOffset, kStructureBytes);
    (void)add_structure(StructureType::kIsr, kIsrOffset, kStructureBytes);
    (void)add_structure(StructureType::kDevice, kDeviceOffset, kStructureBytes);
    (void)add_structure(StructureType::kNotify, kNotifyOffset, kStructureBytes, sizeof kNotifyMultiplier);
    window_capability_ = add_structure(StructureType::kPciConfig, 0, 0, 4);
    // §4.1.4.9: the driver chooses bar, offset and length, and moves the data.
    config().define(window_capability_ + offsetof(PciCapability, bar), 1, 0, 0xFF);
    config().define(window_capability_ + offsetof(PciCapability, offset), 4, 0, 0xFFFF'FFFF);
    config().define(window_capability_ + offsetof(PciCapability, length), 4, 0, 0xFFFF'FFFF);
    config().define(window_capability_ + kPciConfigDataOffset, 4, 0, 0xFFFF'FFFF);
}

// --- configuration space (vCPU threads, under the configuration lock) ---

bool VirtioPciFunction::covers_window_data(std::uint32_t offset, unsigned width_bytes) const {
    const std::uint32_t data = window_capability_ + kPciConfigDataOffset;
    return offset < data + 4 && data < offset + width_bytes;
}

std::optional<VirtioPciFunction::WindowAccess> VirtioPciFunction::window_access() {
    const auto field = [this](std::size_t at, unsigned width_bytes) {
        return config().read(window_capability_ + static_cast<std::uint32_t>(at), width_bytes);
    };
    const std::uint64_t bar = field(offsetof(PciCapability, bar), 1);
    const std::uint64_t at = field(offsetof(PciCapability, offset), 4);
    const std::uint64_t length = field(offsetof(PciCapability, length), 4);
    if (bar >= bars().size() || (length != 1 && length != 2 && length != 4) || at % length != 0) return std::nullopt;
    if (at + length > bars()[bar].length_bytes) return std::nullopt;
    return WindowAccess{bars()[bar].handler, at, static_cast<unsigned>(length)};
}

std::uint32_t VirtioPciFunction::read_config(std::uint32_t offset, unsigned width_bytes) {
    if (covers_window_data(offset, width_bytes)) {
        if (const auto access = window_access()) {
            const std::uint64_t value = access->handler->read(access->offset, access->width_bytes);
            config().set(window_capability_ + kPciConfigDataOffset, access->width_bytes, value);
        }
    }
    return PciFunction::read_config(offset, width_bytes);
}

void VirtioPciFunction::write_config(std::uint32_t offset, unsigned width_bytes, std::uint32_t value) {
    PciFunction::write_config(offset, width_bytes, value);
    if (!covers_window_data(offset, width_bytes)) return;
    if (const auto access = window_access()) {
        const std::uint64_t data = config().read(window_capability_ + kPciConfigDataOffset, access->width_bytes);
        access->handler->write(access->offset, access->width_bytes, data);
    }
}

cpu::Doorbell VirtioPciFunction::doorbell_of(std::size_t queue_index, std::uint64_t bar_address) const {
    return {.is_port = false,
            .address = bar_address + kNotifyOffset + queue_index * kNotifyMultiplier,
            .width_bytes = kNotifyBytes,
            .match = std::nullopt,
            .notification = &ports_[queue_index]->doorbell};
}

void VirtioPciFunction::bar_mapped(unsigned index, std::uint64_t address) {
    if (index != kRegisterBar) return;
    // An engine without short cuts answers false, and Registers::write signals instead.
    for (std::size_t i = 0; i < ports_.size(); ++i) (void)context_.doorbells.attach_doorbell(doorbell_of(i, address));
}

void VirtioPciFunction::bar_unmapped(unsigned index, std::uint64_t address) {
    if (index != kRegisterBar) return;
    for (std::size_t i = 0; i < ports_.size(); ++i) context_.doorbells.detach_doorbell(doorbell_of(i, address));
}

void VirtioPciFunction::function_level_reset() {
    context_.reactor.run_and_wait([this] { begin_reset(); });
}

// --- BAR 0 (vCPU threads) ---

std::uint64_t VirtioPciFunction::Registers::read(std::uint64_t offset, unsigned width_bytes) {
    const auto within = static_cast<std::uint32_t>(offset % kStructureBytes);
    switch (offset - within) {
        case kCommonOffset: return function_.common_.lock()->read(within, width_bytes);
        case kIsrOffset: return within == 0 ? function_.isr_.read_and_clear() : 0;
        case kDeviceOffset: {
            std::array<std::byte, 8> bytes{};
            function_.device_->read_config(within, std::span(bytes).first(width_bytes));
            std::uint64_t value = 0;
            std::memcpy(&value, bytes.data(), sizeof value);
            return value;
        }
        default: return 0; // notifications are written
    }
}

void VirtioPciFunction::Registers::write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) {
    const auto within = static_cast<std::uint32_t>(offset % kStructureBytes);
    switch (offset - within) {
        case kCommonOffset: function_.write_common(within, width_bytes, value); break;
        case kDeviceOffset:
            function_.device_->write_config(within, std::as_bytes(std::span(&value, 1)).first(width_bytes));
            break;
        case kNotifyOffset:
            if (within / kNotifyMultiplier < function_.ports_.size()) function_.wake_queue(within / kNotifyMultiplier);
            break;
        default: break;
    }
}

void VirtioPciFunction::write_common(std::uint32_t offset, unsigned width_bytes, std::uint64_t value) {
    switch (common_.lock()->write(offset, width_bytes, value)) {
        case TransportRegisters::Effect::kNone: break;
        case TransportRegisters::Effect::kReset: context_.reactor.run_and_wait([this] { begin_reset(); }); break;
        case TransportRegisters::Effect::kStart: context_.reactor.run_and_wait([this] { start_queues({}); }); break;
    }
}

// --- interrupts (any thread) ---

void VirtioPciFunction::interrupt(std::uint16_t vector, std::uint8_t isr_bit) {
    if (msix()->enabled()) {
        if (vector != VIRTIO_MSI_NO_VECTOR) msix()->raise(vector);
    } else {
        isr_.raise(isr_bit);
    }
}

void VirtioPciFunction::config_changed() {
    std::uint16_t vector = VIRTIO_MSI_NO_VECTOR;
    {
        auto common = common_.lock();
        common->bump_generation();
        if (!common->driver_ok()) return;
        vector = common->config_vector();
    }
    interrupt(vector, isr::kConfiguration);
}

void VirtioPciFunction::wake_all() {
    for (const auto& port : ports_) port->doorbell.signal();
}

// --- the reactor's side ---

void VirtioPciFunction::publish(unsigned queue_index) {
    if (!ports_[queue_index]->queue.publish()) return;
    interrupt(common_.lock()->queues()[queue_index].msix_vector, isr::kQueue);
}

void VirtioPciFunction::interrupt_driver(unsigned queue_index) {
    interrupt(common_.lock()->queues()[queue_index].msix_vector, isr::kQueue);
}

bool VirtioPciFunction::active() const { return running_ && !paused_ && !failed_ && bus_master_enabled(); }

void VirtioPciFunction::on_doorbell(unsigned index) {
    QueuePort& port = *ports_[index];
    (void)port.doorbell.consume();
    // A doorbell rung meanwhile is not lost: whatever makes the device active again wakes all queues.
    if (!active() || !port.queue.running()) return;
    if (device_->process_queue(index)) port.doorbell.signal();
}

void VirtioPciFunction::fail(QueueError error) {
    last_failure_.store(static_cast<int>(error), std::memory_order_relaxed);
    failure_count_.fetch_add(1, std::memory_order_relaxed);
    failed_ = true;
    std::uint16_t vector = VIRTIO_MSI_NO_VECTOR;
    {
        auto common = common_.lock();
        if (!common->set_needs_reset()) return;
        vector = common->config_vector();
    }
    interrupt(vector, isr::kConfiguration);
}

std::optional<QueueError> VirtioPciFunction::last_failure() const {
    const int error = last_failure_.load(std::memory_order_relaxed);
    return error < 0 ? std::nullopt : std::optional(static_cast<QueueError>(error));
}

void VirtioPciFunction::start_queues(const std::vector<QueuePosition>& positions) {
    std::vector<QueueRegisters> queues;
    std::uint64_t features = 0;
    {
        auto common = common_.lock();
        if (!common->driver_ok() || failed_ || reset_pending_) return;
        features = common->driver_features();
        queues.assign(common->queues().begin(), common->queues().end());
    }
    if (device_->foreign_queues() != nullptr) {
        running_ = true;
        device_->activate(features);
        resting_ = positions;
        if (!paused_) start_foreign_queues(std::exchange(resting_, {}));
        return;
    }
    for (std::size_t i = 0; i < queues.size(); ++i) {
        Virtqueue& queue = ports_[i]->queue;
        if (!queues[i].enabled || queue.running()) continue;
        const QueuePosition position = i < positions.size() ? positions[i] : QueuePosition{};
        if (const auto started = queue.start(queues[i].setup(), features, position); !started) {
            return fail(started.error());
        }
    }
    running_ = true;
    device_->activate(features);
    wake_all();
}

void VirtioPciFunction::start_foreign_queues(const std::vector<QueuePosition>& positions) {
    std::vector<ForeignQueues::Queue> queues;
    std::uint64_t features = 0;
    {
        auto common = common_.lock();
        features = common->driver_features();
        for (const QueueRegisters& registers : common->queues()) {
            const std::size_t i = queues.size();
            queues.push_back({.enabled = registers.enabled,
                              .setup = registers.setup(),
                              .position = i < positions.size() ? positions[i] : QueuePosition{},
                              .doorbell = &ports_[i]->doorbell});
        }
    }
    device_->foreign_queues()->start(features, queues);
}

void VirtioPciFunction::begin_reset() {
    running_ = false;
    resting_.clear();
    for (const auto& port : ports_) port->queue.stop();
    device_->abort_all();
    reset_pending_ = true;
    if (device_->in_flight() == 0) finish_reset();
}

void VirtioPciFunction::finish_reset() {
    reset_pending_ = false;
    failed_ = false;
    device_->reset();
    isr_.set(0);
    common_.lock()->reset(); // last: the driver sees the status become 0
}

void VirtioPciFunction::request_finished() {
    if (device_->in_flight() != 0) return;
    if (reset_pending_) finish_reset();
    if (!paused_) return;
    {
        const std::scoped_lock lock(idle_mutex_);
        idle_ = true;
    }
    idle_changed_.notify_all();
}

// --- lifecycle (control thread) ---

void VirtioPciFunction::pause() {
    context_.reactor.run_and_wait([this] {
        paused_ = true;
        if (ForeignQueues* const foreign = device_->foreign_queues(); foreign != nullptr && running_) foreign->stop();
        const std::scoped_lock lock(idle_mutex_);
        idle_ = device_->in_flight() == 0;
    });
    std::unique_lock lock(idle_mutex_);
    idle_changed_.wait(lock, [this] { return idle_; });
}

void VirtioPciFunction::resume() {
    context_.reactor.run_and_wait([this] {
        const bool was_paused = std::exchange(paused_, false);
        ForeignQueues* const foreign = device_->foreign_queues();
        if (foreign == nullptr || !running_ || !was_paused) return;
        std::vector<QueuePosition> positions = std::exchange(resting_, {});
        for (unsigned i = static_cast<unsigned>(positions.size()); i < ports_.size(); ++i) {
            positions.push_back(foreign->position(i));
        }
        start_foreign_queues(positions);
    });
    wake_all();
}

void VirtioPciFunction::reset() {
    context_.reactor.run_and_wait([this] { begin_reset(); });
    PciFunction::reset();
}

migration::Record VirtioPciFunction::save() const {
    VirtioPciState state;
    state.function = save_function();
    state.common = common_.lock()->save();
    state.isr = isr_.value();
    ForeignQueues* const foreign = device_->foreign_queues();
    for (unsigned i = 0; i < ports_.size(); ++i) {
        if (foreign == nullptr) {
            state.positions.push_back(ports_[i]->queue.position());
        } else {
            state.positions.push_back(i < resting_.size() ? resting_[i] : foreign->position(i));
        }
    }
    state.device = device_->save();
    return migration::save_record(std::string(name()), std::move(state));
}

std::expected<void, migration::RestoreError> VirtioPciFunction::restore(const migration::Record& record) {
    const auto state = migration::load_record<VirtioPciState>(record);
    if (!state) return std::unexpected(state.error());
    if (state->positions.size() != ports_.size()) return std::unexpected(migration::RestoreError::kMismatch);
    context_.reactor.run_and_wait([this] { begin_reset(); });
    if (const auto restored = device_->restore(state->device); !restored) return restored;
    if (!common_.lock()->restore(state->common)) return std::unexpected(migration::RestoreError::kMismatch);
    if (const auto restored = restore_function(state->function); !restored) return restored;
    isr_.set(state->isr);
    context_.reactor.run_and_wait([this, &state] {
        failed_ = (state->common.status & device_status::DEVICE_NEEDS_RESET) != 0;
        start_queues(state->positions);
    });
    return {};
}

} // namespace touka::devices::virtio
