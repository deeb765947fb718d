#include "devices/nvme/nvme_pci_function.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "devices/nvme/controller_state.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;
using platform::BarKind;

namespace {

struct NvmePciState {
    static constexpr std::uint16_t kVersion = 1;
    platform::PciFunctionState function;
    ControllerState controller;
    void describe(auto& archive) { archive(function, controller); }
};

std::uint64_t bar_bytes(std::uint16_t queue_pairs) {
    return std::bit_ceil(kDoorbells + std::uint64_t{2} * queue_pairs * kDoorbellBytes);
}

} // namespace

NvmePciFunction::NvmePciFunction(std::string name, Subsystem& subsystem, const NvmePciConfiguration& configuration,
                                 const NvmePciContext& context)
    : PciFunction(std::move(name), configuration.identity),
      doorbells_(2 * std::size_t{configuration.controller.queue_pairs}, context.polled),
      msix_table_(add_msix(kMsixBar, configuration.controller.vectors, context.msi)) {
    define_bar(kRegisterBar, BarKind::kMemory64, bar_bytes(configuration.controller.queue_pairs), registers_);
    if (!configuration.controller.virtual_function) set_interrupt_pin(1); // VFs have none (SR-IOV 1.1 §3.4.1.18)
    add_power_management();
    add_express_endpoint();
    const ControllerContext surroundings{context.reactor, context.dma, *this, doorbells_.words(), context.polled};
    controller_ = std::make_unique<Controller>(subsystem, configuration.controller, surroundings);
}

NvmePciFunction::~NvmePciFunction() {
    detach();
    controller_->pause();
}

std::uint64_t NvmePciFunction::Registers::read(std::uint64_t offset, unsigned width_bytes) {
    // Doorbells are written only; what a read gives is undefined. (PCIe Transport 1.0 §3.1.2)
    if (offset >= kDoorbells) return 0;
    return function_.controller_->read_register(static_cast<std::uint32_t>(offset), width_bytes);
}

void NvmePciFunction::Registers::write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) {
    Controller& controller = *function_.controller_;
    if (offset < kDoorbells) {
        return controller.write_register(static_cast<std::uint32_t>(offset), width_bytes, value);
    }
    if (offset % kDoorbellBytes != 0 || width_bytes > kDoorbellBytes) return;
    const std::size_t index = (offset - kDoorbells) / kDoorbellBytes;
    controller.ring(index, static_cast<std::uint32_t>(value));
    // The pin goes down before the driver ends the interrupt, or it would come again.
    if (index % 2 == 1 && !function_.message_signalled()) controller.settle();
}

void NvmePciFunction::renew_doorbells() {
    DoorbellPage fresh(doorbells_.words().size(), static_cast<bool>(doorbells_.file()));
    controller_->use_doorbells(fresh.words());
    std::swap(doorbells_, fresh);
}

void NvmePciFunction::reset() {
    controller_->function_reset();
    PciFunction::reset();
}

migration::Record NvmePciFunction::save() const {
    return migration::save_record(std::string(name()), NvmePciState{save_function(), controller_->save()});
}

std::expected<void, migration::RestoreError> NvmePciFunction::restore(const migration::Record& record) {
    const auto state = migration::load_record<NvmePciState>(record);
    if (!state) return std::unexpected(state.error());
    if (const auto restored = controller_->restore(state->controller); !restored) return restored;
    return restore_function(state->function);
}

} // namespace touka::devices::nvme
