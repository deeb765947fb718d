// SCSI host device. (Virtual I/O Device 1.2 §5.6)
#pragma once

#include <cstddef>
#include <cstdint>

#include "spec/virtio/virtio.hpp"

namespace touka::spec::virtio {

/// §5.6.2: Virtqueues; request queues follow.
inline constexpr unsigned kScsiControlQueue = 0, kScsiEventQueue = 1, kScsiFirstRequestQueue = 2;

/// §5.6.3: Feature bits.
inline constexpr std::uint64_t VIRTIO_SCSI_F_INOUT = feature(0), VIRTIO_SCSI_F_HOTPLUG = feature(1),
                               VIRTIO_SCSI_F_CHANGE = feature(2), VIRTIO_SCSI_F_T10_PI = feature(3);

/// §5.6.4: struct virtio_scsi_config.
struct [[gnu::packed]] ScsiConfig {
    std::uint32_t num_queues; ///< request queues alone
    std::uint32_t seg_max;
    std::uint32_t max_sectors; ///< of 512 bytes
    std::uint32_t cmd_per_lun;
    std::uint32_t event_info_size;
    std::uint32_t sense_size; ///< the driver may write these two
    std::uint32_t cdb_size;
    std::uint16_t max_channel;
    std::uint16_t max_target;
    std::uint32_t max_lun;
};
static_assert(sizeof(ScsiConfig) == 36 && offsetof(ScsiConfig, cdb_size) == 24 && offsetof(ScsiConfig, max_lun) == 32);
/// §5.6.4.2: the values after a reset.
inline constexpr std::uint32_t kScsiDefaultSenseBytes = 96, kScsiDefaultCdbBytes = 32;

/// §5.6.6.1: what struct virtio_scsi_req_cmd begins with; cdb_size bytes of CDB follow, then the data-out buffer.
struct [[gnu::packed]] ScsiCommandHeader {
    std::uint8_t lun[8];
    std::uint64_t id;
    std::uint8_t task_attr;
    std::uint8_t prio;
    std::uint8_t crn;
};
static_assert(sizeof(ScsiCommandHeader) == 19);

/// §5.6.6.1: what its device-writable part begins with; sense_size bytes of sense data follow, then the data-in buffer.
struct [[gnu::packed]] ScsiCommandResponse {
    std::uint32_t sense_len;
    std::uint32_t residual;
    std::uint16_t status_qualifier;
    std::uint8_t status;
    std::uint8_t response;
};
static_assert(sizeof(ScsiCommandResponse) == 12);

/// §5.6.6.1, §5.6.6.2: response values of commands and of the control queue.
inline constexpr std::uint8_t VIRTIO_SCSI_S_OK = 0, VIRTIO_SCSI_S_OVERRUN = 1, VIRTIO_SCSI_S_ABORTED = 2,
                              VIRTIO_SCSI_S_BAD_TARGET = 3, VIRTIO_SCSI_S_RESET = 4, VIRTIO_SCSI_S_BUSY = 5,
                              VIRTIO_SCSI_S_TRANSPORT_FAILURE = 6, VIRTIO_SCSI_S_TARGET_FAILURE = 7,
                              VIRTIO_SCSI_S_NEXUS_FAILURE = 8, VIRTIO_SCSI_S_FAILURE = 9,
                              VIRTIO_SCSI_S_FUNCTION_SUCCEEDED = 10, VIRTIO_SCSI_S_FUNCTION_REJECTED = 11,
                              VIRTIO_SCSI_S_INCORRECT_LUN = 12, VIRTIO_SCSI_S_FUNCTION_COMPLETE = 0;

/// §5.6.6.1: task_attr.
inline constexpr std::uint8_t VIRTIO_SCSI_S_SIMPLE = 0, VIRTIO_SCSI_S_ORDERED = 1, VIRTIO_SCSI_S_HEAD = 2,
                              VIRTIO_SCSI_S_ACA = 3;

/// §5.6.6.1: the first byte of a LUN that has the target in its second one, a single-level LUN in the next two.
inline constexpr std::uint8_t kScsiLunOfTarget = 1;
inline constexpr std::uint16_t kScsiLargestTarget = 255;
inline constexpr std::uint32_t kScsiLargestLun = 16383;

/// §5.6.6.2: type of a control request.
inline constexpr std::uint32_t VIRTIO_SCSI_T_TMF = 0, VIRTIO_SCSI_T_AN_QUERY = 1, VIRTIO_SCSI_T_AN_SUBSCRIBE = 2;

/// §5.6.6.2: the readable part of struct virtio_scsi_ctrl_tmf; one byte of response is written.
struct [[gnu::packed]] ScsiTaskManagement {
    std::uint32_t type;
    std::uint32_t subtype;
    std::uint8_t lun[8];
    std::uint64_t id;
};
static_assert(sizeof(ScsiTaskManagement) == 24);
inline constexpr std::uint32_t VIRTIO_SCSI_T_TMF_ABORT_TASK = 0, VIRTIO_SCSI_T_TMF_ABORT_TASK_SET = 1,
                               VIRTIO_SCSI_T_TMF_CLEAR_ACA = 2, VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET = 3,
                               VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET = 4, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET = 5,
                               VIRTIO_SCSI_T_TMF_QUERY_TASK = 6, VIRTIO_SCSI_T_TMF_QUERY_TASK_SET = 7;

/// §5.6.6.2: the readable part of struct virtio_scsi_ctrl_an, and its writable one.
struct [[gnu::packed]] ScsiNotificationRequest {
    std::uint32_t type;
    std::uint8_t lun[8];
    std::uint32_t event_requested;
};
struct [[gnu::packed]] ScsiNotificationResponse {
    std::uint32_t event_actual;
    std::uint8_t response;
};
static_assert(sizeof(ScsiNotificationRequest) == 16 && sizeof(ScsiNotificationResponse) == 5);

/// §5.6.6.3: struct virtio_scsi_event.
struct [[gnu::packed]] ScsiEvent {
    std::uint32_t event;
    std::uint8_t lun[8];
    std::uint32_t reason;
};
static_assert(sizeof(ScsiEvent) == 16);
inline constexpr std::uint32_t VIRTIO_SCSI_T_EVENTS_MISSED = 0x8000'0000, VIRTIO_SCSI_T_NO_EVENT = 0,
                               VIRTIO_SCSI_T_TRANSPORT_RESET = 1, VIRTIO_SCSI_T_ASYNC_NOTIFY = 2,
                               VIRTIO_SCSI_T_PARAM_CHANGE = 3;
inline constexpr std::uint32_t VIRTIO_SCSI_EVT_RESET_HARD = 0, VIRTIO_SCSI_EVT_RESET_RESCAN = 1,
                               VIRTIO_SCSI_EVT_RESET_REMOVED = 2;

} // namespace touka::spec::virtio
