#include "scsi/tape/tape_unit.hpp"

#include <cassert>
#include <utility>

#include "scsi/device_server/primary_commands.hpp"
#include "scsi/parameter_data.hpp"
#include "spec/scsi/operation.hpp"
#include "spec/scsi/sequential_access.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

Sense no_medium() { return Sense::not_ready(SenseCode::kMediumNotPresent); }

} // namespace

std::expected<std::unique_ptr<TapeFile>, std::string> TapeUnit::open_host_file(const Cartridge& cartridge) {
    return HostTapeFile::open(cartridge.path, cartridge.write_protected);
}

TapeUnit::TapeUnit(std::unique_ptr<TapeWorker> worker, Configuration configuration, OpenImage open)
    : open_(std::move(open)),
      inquiry_(server_, std::move(configuration.identity),
               {.type = PeripheralDeviceType::kSequentialAccess, .removable = true, .version_descriptors = {}},
               std::move(configuration.ports)),
      modes_(server_, configuration.density_code), log_(server_), removal_(server_),
      empty_density_code_(configuration.density_code), worker_(std::move(worker)) {
    add_primary_commands(server_);
    add_report_supported(server_);
    add_transfers();
    add_positioning();
    add_medium_commands();
    server_.set_readiness([this] { return readiness(); });
    // Sequential-access device capabilities: no WORM. (SSC-5, "Sequential-access Device Capabilities VPD page")
    inquiry_.add_page(VpdPage::kBlockLimits, [](const Nexus&) { return std::vector<std::uint8_t>(2); });
}

TapeUnit::~TapeUnit() = default;

std::optional<Sense> TapeUnit::readiness() const {
    switch (medium_) {
        case Medium::kLoaded: return std::nullopt;
        case Medium::kLoading: return Sense::not_ready(SenseCode::kLogicalUnitBecomingReady);
        case Medium::kHeld: return Sense::not_ready(SenseCode::kInitializingCommandRequired);
        // NOT READY and no MEDIUM ERROR: only so does Linux's st let mt unload the cartridge.
        case Medium::kUnreadable: return Sense::not_ready(SenseCode::kMediumFormatCorrupted);
        case Medium::kNone:
        case Medium::kUnloaded: break;
    }
    return no_medium();
}

void TapeUnit::on_worker(std::function<void()> work, std::function<void()> done) {
    worker_->run(std::move(work), [alive = std::weak_ptr(alive_), done = std::move(done)] {
        if (!alive.expired()) done();
    });
}

void TapeUnit::on_tape(Work work, std::function<void(TapeOutcome)> done) {
    auto outcome = std::make_shared<TapeOutcome>(); // shared: std::function wants copies
    on_worker([this, work = std::move(work),
               outcome] { *outcome = tape_ ? work(*tape_) : TapeOutcome{.sense = no_medium()}; },
              [outcome, done = std::move(done)] { done(*outcome); });
}

void TapeUnit::run(Task& task, Work work) {
    on_tape(std::move(work), [this, &task](const TapeOutcome& outcome) { end(task, outcome); });
}

void TapeUnit::end(Task& task, const TapeOutcome& outcome) {
    if (!outcome.sense) return server_.good(task);
    log_.note(*outcome.sense);
    server_.check(task, *outcome.sense);
}

void TapeUnit::insert(Cartridge cartridge, std::function<void(std::expected<void, std::string>)> done) {
    assert(!cartridge_);
    cartridge_ = std::move(cartridge);
    load([this, done = std::move(done)](std::expected<void, std::string> loaded) {
        server_.attentions().establish_for_others(nullptr, SenseCode::kNotReadyToReadyChange);
        done(std::move(loaded));
    });
}

void TapeUnit::load(std::function<void(std::expected<void, std::string>)> done) {
    medium_ = Medium::kLoading;
    log_.clear_alerts();
    struct Loaded {
        std::expected<void, std::string> result;
        bool write_protected = false;
    };
    auto loaded = std::make_shared<Loaded>();
    on_worker(
        [this, loaded, cartridge = *cartridge_] {
            auto file = open_(cartridge);
            if (!file) {
                loaded->result = std::unexpected(std::move(file.error()));
                return;
            }
            auto image = TapeImage::load(std::move(*file));
            if (!image) {
                loaded->result = std::unexpected(std::move(image.error().text));
                return;
            }
            tape_.emplace(std::move(*image), cartridge.capacity, cartridge.write_protected);
            loaded->write_protected = tape_->write_protected();
        },
        [this, loaded, done = std::move(done)] {
            medium_ = loaded->result ? Medium::kLoaded : Medium::kUnreadable;
            write_protected_ = loaded->write_protected;
            modes_.set_medium(cartridge_->density_code, write_protected_);
            if (!loaded->result) log_.raise(tape_alert::kLoadFailure);
            done(std::move(loaded->result));
        });
}

void TapeUnit::unload(Medium after, std::function<void(TapeOutcome)> done) {
    const bool had_tape = medium_ == Medium::kLoaded;
    medium_ = after;
    if (!had_tape) return done({});
    auto outcome = std::make_shared<TapeOutcome>();
    on_worker(
        [this, outcome] {
            if (tape_) *outcome = tape_->synchronize();
            tape_.reset();
        },
        [outcome, done = std::move(done)] { done(*outcome); });
}

void TapeUnit::remove(std::function<void(std::expected<Cartridge, TapeRemovalError>)> done) {
    if (!cartridge_) return done(std::unexpected(TapeRemovalError::kEmpty));
    if (medium_ == Medium::kLoading || removing_) return done(std::unexpected(TapeRemovalError::kBusy));
    if (removal_.prevented()) return done(std::unexpected(TapeRemovalError::kPrevented));
    removing_ = true;
    unload(Medium::kUnloaded, [this, done = std::move(done)](const TapeOutcome& outcome) {
        removing_ = false;
        if (outcome.sense) {
            log_.note(*outcome.sense);
            return done(std::unexpected(TapeRemovalError::kWriteFailed));
        }
        Cartridge cartridge = *std::exchange(cartridge_, std::nullopt);
        medium_ = Medium::kNone;
        write_protected_ = false;
        modes_.set_medium(empty_density_code_, false);
        done(std::move(cartridge));
    });
}

void TapeUnit::add_medium_commands() {
    using namespace operation;
    server_.add({.usage = {kLoadUnload, 0x01, 0, 0, 0x0F, 0}, .despite_not_ready = true, .execute = [this](Task& task) {
                     load_unload(task);
                 }});
    server_.add({.usage = {kReadBlockLimits, 0, 0, 0, 0, 0},
                 .reservation = always_allowed,
                 .despite_not_ready = true,
                 .execute = [this](Task& task) { read_block_limits(task); }});
    server_.add({.usage = {kReportDensitySupport, 0x03, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0},
                 .reservation = always_allowed,
                 .despite_not_ready = true,
                 .execute = [this](Task& task) { report_density_support(task); }});
}

/// HOLD 0 and LOAD 0 put the cartridge where it can be taken out; HOLD 1 leaves it in and not ready. RETEN has no
/// meaning for a file; EOT of an unload is as good. (SSC-5, LOAD UNLOAD)
void TapeUnit::load_unload(Task& task) {
    const std::uint8_t bits = task.cdb[4];
    const bool load_bit = (bits & load_unload::LOAD) != 0, hold = (bits & load_unload::HOLD) != 0;
    const bool immediate = task.cdb.bit(1, 0);
    if (load_bit && (bits & load_unload::EOT) != 0) return server_.check(task, Sense::invalid_field_in_cdb(4, 2));
    if (!cartridge_ || removing_) return server_.check(task, no_medium());
    if (medium_ == Medium::kLoading) return server_.check(task, *readiness());
    if (load_bit && !hold) {
        if (medium_ == Medium::kLoaded) {
            return run(task, [](Tape& tape) {
                tape.rewind();
                return TapeOutcome{};
            });
        }
        const NexusName nexus = task.nexus->name;
        load([this, nexus, task_left = immediate ? nullptr : &task](const std::expected<void, std::string>& loaded) {
            server_.attentions().establish_for_others(&nexus, SenseCode::kNotReadyToReadyChange);
            if (task_left == nullptr) return;
            loaded ? server_.good(*task_left) : server_.check(*task_left, *readiness());
        });
        if (immediate) server_.good(task);
        return;
    }
    if (!hold && removal_.prevented()) {
        return server_.check(task, Sense::illegal_request(SenseCode::kMediumRemovalPrevented));
    }
    unload(hold ? Medium::kHeld : Medium::kUnloaded,
           [this, task_left = immediate ? nullptr : &task](const TapeOutcome& outcome) {
               if (task_left != nullptr) return end(*task_left, outcome);
               if (outcome.sense) log_.note(*outcome.sense);
           });
    if (immediate) server_.good(task);
}

/// Any length from 1 byte on. (SSC-5, READ BLOCK LIMITS)
void TapeUnit::read_block_limits(Task& task) {
    const auto data = ParameterData().zeros(1).number(TapeImage::kBlockLimitBytes, 3).number(1, 2).take();
    server_.reply(task, data, data.size());
}

/// One density: the medium's, or the drive's own. Lengths and tracks of a tape that has none are 0.
/// (SSC-5, REPORT DENSITY SUPPORT)
void TapeUnit::report_density_support(Task& task) {
    constexpr std::uint8_t kWriteAllowed = 0x80, kDefault = 0x20;
    const bool medium_types = task.cdb.bit(1, 1), of_medium = task.cdb.bit(1, 0);
    if (of_medium && medium_ != Medium::kLoaded) return server_.check(task, *readiness());
    const std::uint64_t capacity =
        cartridge_ ? cartridge_->capacity.capacity_bytes : Cartridge().capacity.capacity_bytes;
    const std::uint64_t megabytes = std::min<std::uint64_t>(capacity / 1'000'000, 0xFFFF'FFFF);
    ParameterData data;
    data.zeros(4);
    if (!medium_types) {
        const bool writable = !(of_medium && write_protected_);
        data.byte(modes_.density_code()).byte(modes_.density_code());
        data.byte((writable ? kWriteAllowed : 0) | kDefault).zeros(2);
        data.zeros(3).zeros(2).number(1, 2).number(megabytes, 4);
        data.text("TOUKA", 8).text("SIMH", 8).text("SIMH tape image", 20);
        assert(data.size() == 4 + kDensityDescriptorBytes);
    }
    data.set(0, data.size() - 2, 2);
    server_.reply(task, data.view(), task.cdb.number(7, 2));
}

} // namespace touka::scsi
