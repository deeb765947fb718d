// A tape drive of our own. (SSC-5; implicit address mode)
// Absent: READ(16), WRITE(16) and other explicit address commands, READ REVERSE, RECOVER BUFFERED DATA, FORMAT MEDIUM,
// several partitions, compression, encryption, WORM, medium auxiliary memory, SPACE to sequential filemarks, READ
// POSITION in the extended form, byte compare of VERIFY(6), the FIFO modes of a write that fails later: everything
// that is answered is in the image file, and synchronized where buffered mode 0 or WRITE FILEMARKS ask for it.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "scsi/device_server/device_server.hpp"
#include "scsi/device_server/inquiry.hpp"
#include "scsi/device_server/medium_removal.hpp"
#include "scsi/tape/cartridge.hpp"
#include "scsi/tape/tape_log.hpp"
#include "scsi/tape/tape_modes.hpp"
#include "scsi/tape/tape_worker.hpp"

namespace touka::scsi {

/// Why a cartridge stays in the drive.
enum class TapeRemovalError {
    kEmpty,       ///< there is none
    kBusy,        ///< it is being loaded or taken out
    kPrevented,   ///< an initiator said so
    kWriteFailed, ///< what was written last is lost; the next attempt takes the cartridge out
};

/// A drive with or without a cartridge, as a logical unit. On one reactor; what waits for files is the worker's.
class TapeUnit {
public:
    struct Configuration {
        UnitIdentity identity;
        std::vector<TargetPort> ports;
        std::uint8_t density_code = 0x80; ///< while there is no cartridge
    };
    using OpenImage = std::function<std::expected<std::unique_ptr<TapeFile>, std::string>(const Cartridge&)>;

    /// @param open how a cartridge's image is opened, on the worker; HostTapeFile::open but in tests
    TapeUnit(std::unique_ptr<TapeWorker> worker, Configuration configuration, OpenImage open = open_host_file);
    /// @pre no task is left in the unit.
    ~TapeUnit();
    TapeUnit(const TapeUnit&) = delete;
    TapeUnit& operator=(const TapeUnit&) = delete;

    [[nodiscard]] DeviceServer& server() { return server_; }
    [[nodiscard]] const UnitIdentity& identity() const { return inquiry_.identity(); }

    /// The cartridge in the drive, loaded or not. Valid until `remove` is done.
    [[nodiscard]] const Cartridge* cartridge() const { return cartridge_ ? &*cartridge_ : nullptr; }
    /// May a changer or the operator take the cartridge out now?
    [[nodiscard]] bool removal_prevented() const { return removal_.prevented(); }

    /// A changer or the operator puts a cartridge in; it is loaded at once, and initiators are told. @pre cartridge()
    /// is null.  @param done with a text for the user when its image cannot be used; it is in the drive all the same.
    void insert(Cartridge cartridge, std::function<void(std::expected<void, std::string>)> done);
    /// Takes the cartridge out; a loaded one is synchronized and unloaded first.
    void remove(std::function<void(std::expected<Cartridge, TapeRemovalError>)> done);

    [[nodiscard]] static std::expected<std::unique_ptr<TapeFile>, std::string>
    open_host_file(const Cartridge& cartridge);

private:
    /// Where the medium is; decides what TEST UNIT READY answers.
    enum class Medium : std::uint8_t { kNone, kLoading, kLoaded, kHeld, kUnloaded, kUnreadable };
    using Work = std::function<TapeOutcome(Tape&)>;

    // tape_transfers.cpp
    void add_transfers();
    void read(Task& task);
    void verify(Task& task);
    void write(Task& task);
    void write_filemarks(Task& task, std::uint64_t count);
    void erase(Task& task);
    [[nodiscard]] std::optional<Sense> check_transfer(const Task& task) const;
    [[nodiscard]] TapeTransfer transfer_of(const Task& task) const;
    [[nodiscard]] std::optional<Sense> write_refusal() const;

    // tape_positioning.cpp
    void add_positioning();
    void space(Task& task, std::uint8_t code, std::int64_t count);
    void locate10(Task& task);
    void locate16(Task& task);
    void read_position(Task& task);

    // tape_unit.cpp
    void add_medium_commands();
    void load_unload(Task& task);
    void load(std::function<void(std::expected<void, std::string>)> done);
    /// Synchronizes and closes; `after` is where the medium is from now on.
    void unload(Medium after, std::function<void(TapeOutcome)> done);
    void read_block_limits(Task& task);
    void report_density_support(Task& task);
    [[nodiscard]] std::optional<Sense> readiness() const;

    /// Does `work` on the tape on the worker, then `done` here. Without a tape the outcome is NOT READY.
    void on_tape(Work work, std::function<void(TapeOutcome)> done);
    void on_worker(std::function<void()> work, std::function<void()> done);
    /// The same for a command that ends with the outcome's sense or GOOD.
    void run(Task& task, Work work);
    void end(Task& task, const TapeOutcome& outcome);

    OpenImage open_;
    DeviceServer server_;
    Inquiry inquiry_;
    TapeModes modes_;
    TapeLog log_;
    MediumRemoval removal_;
    std::uint8_t empty_density_code_;
    Medium medium_ = Medium::kNone;
    bool removing_ = false;
    bool write_protected_ = false;
    std::optional<Cartridge> cartridge_;
    std::optional<Tape> tape_;                                     // the worker's
    std::shared_ptr<const bool> alive_ = std::make_shared<bool>(); // completions that come too late see it gone
    std::unique_ptr<TapeWorker> worker_;                           // goes first: it uses tape_
};

} // namespace touka::scsi
