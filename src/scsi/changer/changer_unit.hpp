// A media changer of our own. (SMC-3)
// One robot, storage slots, import/export slots and drives, which are tape units of this program. A move out of a drive
// unloads the cartridge first, as many libraries do, unless an initiator prevents it; into a drive loads it.
// Absent: REQUEST VOLUME ELEMENT ADDRESS, SEND VOLUME TAG, OPEN/CLOSE IMPORT/EXPORT ELEMENT, alternate volume tags,
// inverting, media that stay in the robot, several robots, magazines.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scsi/changer/inventory.hpp"
#include "scsi/changer/inventory_file.hpp"
#include "scsi/device_server/device_server.hpp"
#include "scsi/device_server/inquiry.hpp"
#include "scsi/device_server/medium_removal.hpp"
#include "scsi/device_server/mode_pages.hpp"
#include "scsi/tape/tape_unit.hpp"
#include "scsi/tape/tape_worker.hpp"

namespace touka::scsi {

class ChangerUnit {
public:
    struct Configuration {
        UnitIdentity identity;
        std::vector<TargetPort> ports;
    };
    /// For the operator's actions: done, or a text for the user.
    using Done = std::function<void(std::expected<void, std::string>)>;

    /// @param worker where the inventory is saved  @param inventory as loaded  @param drives as many as the geometry
    /// says, empty, on this unit's reactor; they outlive the unit.
    ChangerUnit(std::unique_ptr<TapeWorker> worker, Configuration configuration, Inventory inventory,
                std::unique_ptr<InventoryStore> store, std::vector<TapeUnit*> drives);
    /// @pre no task is left in the unit.
    ~ChangerUnit();
    ChangerUnit(const ChangerUnit&) = delete;
    ChangerUnit& operator=(const ChangerUnit&) = delete;

    [[nodiscard]] DeviceServer& server() { return server_; }
    [[nodiscard]] const Inventory& inventory() const { return inventory_; }

    /// Puts those cartridges into the drives that the inventory has there. Once, before the first task.
    /// @param failed called for each whose image cannot be used, with a text for the user.
    void load_drives(const std::function<void(std::string)>& failed);

    // What the operator does at the library's doors; in the order of the calls, among the initiators' moves.
    /// Puts a cartridge into an empty import/export slot or drive.
    void put_in(ElementAddress element, Cartridge cartridge, Done done);
    /// Takes the cartridge out of an import/export slot or drive, unless an initiator prevents it.
    void take_out(ElementAddress element, Done done);
    /// The same as MOVE MEDIUM.
    void move(ElementAddress from, ElementAddress to, Done done);

private:
    using Ended = std::function<void(std::optional<Sense>)>;
    struct Change;

    // changer_unit.cpp
    void add_commands();
    void add_mode_pages();
    void read_element_status(Task& task);
    void initialize_element_status_with_range(Task& task);
    void position_to_element(Task& task);
    void move_medium(Task& task);
    void exchange_medium(Task& task);
    [[nodiscard]] bool is_robot(std::uint64_t address) const;
    [[nodiscard]] TapeUnit* drive_at(ElementAddress element) const;

    // changes.cpp: one change of the inventory after the other
    /// `plan` is asked when earlier changes are over.
    void relocate(std::function<std::expected<std::vector<Relocation>, Sense>()> plan, Ended ended);
    void enqueue(std::function<void()> operation);
    void next_operation();
    void empty_drives(const std::shared_ptr<Change>& change);
    void save(const std::shared_ptr<Change>& change);
    void fill_drives(const std::shared_ptr<Change>& change);
    void undo(const std::shared_ptr<Change>& change, Sense sense);
    /// Wraps what must not run once the unit is gone.
    template <class Function>
    [[nodiscard]] auto alive(Function function);

    DeviceServer server_;
    Inquiry inquiry_;
    ModePages modes_;
    MediumRemoval removal_;
    Inventory inventory_;
    std::unique_ptr<InventoryStore> store_; // the worker's
    std::vector<TapeUnit*> drives_;
    std::deque<std::function<void()>> operations_; // the first one is under way
    std::shared_ptr<const bool> alive_ = std::make_shared<bool>();
    std::unique_ptr<TapeWorker> worker_; // goes first
};

} // namespace touka::scsi
