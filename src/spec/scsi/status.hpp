// What goes between an application client and a device server beside data. (SAM-6 §5.3, §7, §8.7)
#pragma once

#include <cstdint>

namespace touka::spec::scsi {

/// Status codes. (SAM-6 table 37)
enum class Status : std::uint8_t {
    kGood = 0x00,
    kCheckCondition = 0x02,
    kConditionMet = 0x04,
    kBusy = 0x08,
    kReservationConflict = 0x18,
    kTaskSetFull = 0x28,
    kAcaActive = 0x30,
    kTaskAborted = 0x40,
};

/// (SAM-6 §8.7)
enum class TaskAttribute : std::uint8_t { kSimple, kOrdered, kHeadOfQueue, kAca };

/// (SAM-6 §7.1; target reset: SAM-3 §7.7, which initiators still send)
enum class TaskManagementFunction : std::uint8_t {
    kAbortTask,
    kAbortTaskSet,
    kClearAca,
    kClearTaskSet,
    kItNexusReset,
    kLogicalUnitReset,
    kTargetReset,
    kQueryTask,
    kQueryTaskSet,
    kQueryAsynchronousEvent,
};

/// Service responses of task management. (SAM-6 §7.1)
enum class TaskManagementResponse : std::uint8_t {
    kComplete,
    kSucceeded, ///< queries: the answer is yes
    kRejected,  ///< not supported
    kIncorrectLun,
    kTaskDoesNotExist, ///< iSCSI alone tells this apart from kComplete (RFC 7143 §11.6.1)
    kTargetFailure,    ///< SERVICE DELIVERY OR TARGET FAILURE: what was to end may not have ended (SAM-6 §7.1)
};

} // namespace touka::spec::scsi
