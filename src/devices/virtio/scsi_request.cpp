#include "devices/virtio/scsi_request.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "devices/virtio/scsi_request_queue.hpp"

namespace touka::devices::virtio {

using namespace spec::virtio;

namespace {

std::uint8_t response_value(const scsi::Task& task, std::uint64_t buffer_bytes, bool by_abort) {
    if (task.aborted) return by_abort ? VIRTIO_SCSI_S_ABORTED : VIRTIO_SCSI_S_RESET;
    switch (task.delivery) {
        case scsi::Delivery::kTransportFailure: return VIRTIO_SCSI_S_TRANSPORT_FAILURE;
        case scsi::Delivery::kTargetFailure: return VIRTIO_SCSI_S_TARGET_FAILURE;
        case scsi::Delivery::kComplete: break;
    }
    // A driver that hears of an overrun looks at nothing else, so sense data come first.
    const bool good = task.status == scsi::Status::kGood || task.status == scsi::Status::kConditionMet;
    return good && task.transfer_bytes > buffer_bytes ? VIRTIO_SCSI_S_OVERRUN : VIRTIO_SCSI_S_OK;
}

scsi::TaskAttribute attribute_of(std::uint8_t task_attr) {
    switch (task_attr) {
        case VIRTIO_SCSI_S_ORDERED: return scsi::TaskAttribute::kOrdered;
        case VIRTIO_SCSI_S_HEAD: return scsi::TaskAttribute::kHeadOfQueue;
        case VIRTIO_SCSI_S_ACA: return scsi::TaskAttribute::kAca;
        default: return scsi::TaskAttribute::kSimple;
    }
}

bool same_unit(scsi::Lun one, scsi::Lun other) {
    return one == other || (one.number() && one.number() == other.number());
}

} // namespace

ScsiCommandResponse scsi_response(const scsi::Task& task, std::uint64_t buffer_bytes, bool by_abort) {
    ScsiCommandResponse response{};
    response.response = response_value(task, buffer_bytes, by_abort);
    const bool has_status = !task.aborted && task.delivery == scsi::Delivery::kComplete;
    const std::uint64_t moved = task.data_in_limit_bytes > 0 ? task.data_in_bytes : task.transfer_bytes;
    const std::uint64_t residual = has_status ? buffer_bytes - std::min(moved, buffer_bytes) : buffer_bytes;
    response.residual = static_cast<std::uint32_t>(std::min<std::uint64_t>(residual, ~std::uint32_t{0}));
    if (!has_status) return response;
    response.status = static_cast<std::uint8_t>(task.status);
    response.sense_len = static_cast<std::uint32_t>(task.sense.bytes().size());
    return response;
}

void ScsiRequest::start(ScsiPort& port) {
    port.begin();
    running_ = true;
    by_abort_ = false;
    clear_response();
    sense_room_ = port.sense_bytes.load(std::memory_order_relaxed);
    ScsiCommandHeader header{};
    std::array<std::uint8_t, kCdbLimitBytes> cdb_field;
    const auto cdb_part = std::span(cdb_field).first(port.cdb_bytes.load(std::memory_order_relaxed));
    const bool framed =
        chain_.take(std::as_writable_bytes(std::span(&header, 1))) && chain_.take(std::as_writable_bytes(cdb_part));
    // Without room for a response nobody can be told anything: the chain just comes back.
    const bool answerable = chain_.take_writable(sizeof(ScsiCommandResponse) + sense_room_, response_);
    const bool bidirectional = chain_.readable_bytes() > 0 && chain_.writable_bytes() > 0;
    if (!framed || !answerable || bidirectional) return reject(VIRTIO_SCSI_S_FAILURE);
    const auto address = parse_scsi_address(header.lun);
    ScsiBus::Attachment* const attachment = address ? port.bus.find(*address) : nullptr;
    if (attachment == nullptr) return reject(VIRTIO_SCSI_S_BAD_TARGET);
    lun = address->lun;
    fill_in(header, cdb_part);
    port.bus.submit(*attachment, *this);
}

void ScsiRequest::fill_in(const ScsiCommandHeader& header, std::span<const std::uint8_t> cdb_bytes) {
    tag = header.id;
    attribute = attribute_of(header.task_attr);
    cdb = scsi::Cdb(cdb_bytes);
    data_out = chain_.readable();
    data_out_bytes = chain_.readable_bytes();
    data_in_limit_bytes = chain_.writable_bytes();
}

void ScsiRequest::abort_if(const scsi::Nexus& of_nexus, scsi::Lun of_lun, bool any_tag, std::uint64_t of_tag) {
    if (running_ && nexus == &of_nexus && same_unit(lun, of_lun) && (any_tag || tag == of_tag)) by_abort_ = true;
}

std::span<const iovec> ScsiRequest::data_in(std::uint64_t bytes) {
    if (bytes >= chain_.writable_bytes()) return chain_.writable();
    data_in_.clear();
    for (const iovec& buffer : chain_.writable()) {
        if (bytes == 0) break;
        data_in_.push_back({buffer.iov_base, std::min<std::uint64_t>(bytes, buffer.iov_len)});
        bytes -= data_in_.back().iov_len;
    }
    return data_in_;
}

void ScsiRequest::complete() {
    data_in_bytes = std::min(data_in_bytes, chain_.writable_bytes());
    finish(scsi_response(*this, chain_.readable_bytes() + chain_.writable_bytes(), by_abort_));
}

void ScsiRequest::reject(std::uint8_t response) {
    ScsiCommandResponse rejection{};
    rejection.response = response;
    const std::uint64_t residual = chain_.readable_bytes() + chain_.writable_bytes();
    rejection.residual = static_cast<std::uint32_t>(std::min<std::uint64_t>(residual, ~std::uint32_t{0}));
    finish(rejection);
}

void ScsiRequest::finish(const ScsiCommandResponse& response) {
    std::uint64_t written = 0;
    if (!response_.empty()) {
        if (data_in_bytes > 0) chain_.written(queue_.port().transport->dma(), data_in_bytes);
        written = store_response(response) + data_in_bytes;
    }
    running_ = false;
    nexus = nullptr;
    DescriptorChain::trim(data_in_);
    chain_.trim();
    queue_.finish(
        *this, static_cast<std::uint32_t>(std::min<std::uint64_t>(written, std::numeric_limits<std::uint32_t>::max())));
}

/// The whole field, its unused sense bytes as zero, so that what was written counts from the first byte on (§2.7.8).
std::uint32_t ScsiRequest::store_response(const ScsiCommandResponse& response) {
    std::array<std::uint8_t, sizeof response + kSenseLimitBytes> image;
    const auto field = std::span(image).first(sizeof response + sense_room_);
    ScsiCommandResponse bounded = response;
    bounded.sense_len = std::min(response.sense_len, sense_room_);
    std::memcpy(field.data(), &bounded, sizeof bounded);
    const auto end_of_sense = std::ranges::copy(sense.bytes().first(bounded.sense_len), field.begin() + sizeof bounded);
    std::fill(end_of_sense.out, field.end(), std::uint8_t{0});
    scsi::copy_to(response_, 0, field);
    for (const iovec& piece : response_) {
        queue_.port().transport->dma().written({static_cast<const std::byte*>(piece.iov_base), piece.iov_len});
    }
    return static_cast<std::uint32_t>(field.size());
}

} // namespace touka::devices::virtio
