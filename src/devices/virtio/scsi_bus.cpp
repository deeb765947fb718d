#include "devices/virtio/scsi_bus.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "spec/scsi/byte_order.hpp"
#include "spec/virtio/scsi.hpp"

namespace touka::devices::virtio {

using spec::scsi::kReportLunsWellKnownLun;

std::optional<ScsiAddress> parse_scsi_address(std::span<const std::uint8_t, 8> bytes) {
    const scsi::Lun whole = scsi::Lun::from_wire(bytes);
    if (whole == kReportLunsWellKnownLun) return ScsiAddress{.lun = whole, .any_target = true};
    if (bytes[0] != spec::virtio::kScsiLunOfTarget) return std::nullopt;
    return ScsiAddress{.target = bytes[1], .lun = {whole.value << 16}};
}

std::array<std::uint8_t, 8> scsi_address_bytes(std::uint8_t target, scsi::Lun lun) {
    std::array<std::uint8_t, 8> bytes{spec::virtio::kScsiLunOfTarget, target};
    spec::scsi::store_number(std::span(bytes).subspan(2, 2), lun.value >> 48);
    return bytes;
}

ScsiBus::~ScsiBus() {
    for_each([](Attachment& attachment) { attachment.target->close(*attachment.nexus, [] {}); });
}

void ScsiBus::add(std::uint8_t id, scsi::Target& target, scsi::RelativeTargetPort port,
                  std::vector<scsi::MappedUnit> units) {
    assert(attachments_[id].target == nullptr);
    touched_.reserve(attachments_.size());
    scsi::Nexus& nexus = target.open({.initiator = initiator_, .target_port = port}, std::move(units));
    attachments_[id] = {.target = &target, .nexus = &nexus};
}

void ScsiBus::remove(std::uint8_t id, std::function<void()> done) {
    const Attachment attachment = std::exchange(attachments_[id], {});
    std::erase(touched_, &attachments_[id]);
    if (attachment.target == nullptr) return done();
    attachment.target->close(*attachment.nexus, std::move(done));
}

ScsiBus::Attachment* ScsiBus::find(const ScsiAddress& address) {
    if (address.any_target) {
        const auto first = std::ranges::find_if(attachments_, [](const Attachment& a) { return a.target != nullptr; });
        return first == attachments_.end() ? nullptr : &*first;
    }
    Attachment& attachment = attachments_[address.target];
    return attachment.target == nullptr ? nullptr : &attachment;
}

void ScsiBus::submit(Attachment& attachment, scsi::Task& task) {
    task.nexus = attachment.nexus;
    if (!attachment.touched) {
        attachment.touched = true;
        touched_.push_back(&attachment);
    }
    attachment.target->submit(task);
}

void ScsiBus::commit() {
    for (Attachment* attachment : touched_) {
        attachment->touched = false;
        attachment->target->commit();
    }
    touched_.clear();
}

} // namespace touka::devices::virtio
