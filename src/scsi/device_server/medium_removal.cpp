#include "scsi/device_server/medium_removal.hpp"

#include "spec/scsi/operation.hpp"

namespace touka::scsi {

MediumRemoval::MediumRemoval(DeviceServer& server) {
    constexpr std::uint8_t kCode = spec::scsi::operation::kPreventAllowMediumRemoval;
    server.add({.usage = {kCode, 0, 0, 0, 0x03, 0},
                .reservation =
                    [](const Cdb& cdb) {
                        return (cdb[4] & 0x03) == 0 ? ReservationClass::kAllowed : ReservationClass::kChanges;
                    },
                .despite_not_ready = true,
                .execute =
                    [this, &server](Task& task) {
                        const bool prevent = task.cdb.bit(4, 0);
                        if (task.cdb.bit(4, 1))
                            return server.check(task, Sense::invalid_field_in_cdb(4, std::uint8_t{1}));
                        if (prevent) {
                            preventing_.insert(task.nexus->name);
                        } else {
                            preventing_.erase(task.nexus->name);
                        }
                        server.good(task);
                    }});
    server.add_observer(*this);
}

} // namespace touka::scsi
