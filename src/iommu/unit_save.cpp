// What of a remapping unit moves with the machine. Caches do not: they fill again. So an invalidation that was under
// way is complete on the other side.
#include "iommu/remapping_unit.hpp"

namespace touka::iommu {

using namespace spec::vtd;

migration::Record RemappingUnit::save() const {
    RemappingUnitState state;
    {
        const std::scoped_lock lock(mutex_);
        state = state_;
        state.global_status =
            (global_status() & ~global::TE) | (root_.enabled.load() ? global::TE : 0); // what the guest asked for
    }
    const ContextCommand context{state.context_command};
    if (context.get(context_command::ICC))
        state.context_command = ContextCommand{context}
                                    .set(context_command::CAIG, context.get(context_command::CIRG))
                                    .set(context_command::ICC, false)
                                    .raw;
    const IotlbCommand iotlb{state.iotlb_command};
    if (iotlb.get(iotlb_command::IVT))
        state.iotlb_command = IotlbCommand{iotlb}
                                  .set(iotlb_command::IAIG, iotlb.get(iotlb_command::IIRG))
                                  .set(iotlb_command::IVT, false)
                                  .raw;
    state.faults = faults_.save();
    state.queue = queue_.save();
    return migration::save_record("vtd", state);
}

std::expected<void, migration::RestoreError> RemappingUnit::restore(const migration::Record& record) {
    const auto state = migration::load_record<RemappingUnitState>(record);
    if (!state) return std::unexpected(state.error());
    reset();
    if (!faults_.restore(state->faults)) return std::unexpected(migration::RestoreError::kDamaged);
    queue_.restore(state->queue);
    {
        const std::scoped_lock lock(mutex_);
        state_ = *state;
        state_.faults = {};
        state_.queue = {};
        state_.global_status &= global::TE | global::SRTP | global::SIRTP;
        root_.table.store(state_.root_taken);
        root_.enabled.store((state->global_status & global::TE) != 0);
        interrupts_.set_table(state_.interrupt_taken);
        interrupts_.set_compatibility((state->global_status & global::CFI) != 0);
        interrupts_.set_enabled((state->global_status & global::IRE) != 0);
    }
    requesters_.translation_changed([] {});
    return {};
}

} // namespace touka::iommu
