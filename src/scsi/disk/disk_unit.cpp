#include "scsi/disk/disk_unit.hpp"

#include <algorithm>

#include "scsi/device_server/primary_commands.hpp"
#include "scsi/disk/capacity.hpp"
#include "scsi/parameter_data.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

/// SAM-5, SAM-6, SPC-4, SPC-5, SBC-3, SBC-4, iSCSI, each without a revision. (SPC-5 table 150)
const std::vector<std::uint16_t> kStandards{0x00A0, 0x00C0, 0x0460, 0x05C0, 0x04C0, 0x0600, 0x0960};

std::uint32_t choose_block_bytes(const storage::BlockGeometry& geometry, std::uint32_t wanted) {
    return std::max(wanted, geometry.logical_block_bytes);
}

} // namespace

DiskUnit::DiskUnit(storage::BlockDevice& volume, DiskOptions options)
    : modes_(server_,
             {.device_specific =
                  [this] {
                      constexpr std::uint8_t kWriteProtected = 0x80, kDpoFua = 0x10;
                      return static_cast<std::uint8_t>(kDpoFua | (core_.check_writable() ? kWriteProtected : 0));
                  },
              .block_descriptor = [this](bool long_lba) { return block_descriptor(long_lba); },
              .set_block_descriptor = [this](std::span<const std::uint8_t> bytes) -> std::optional<Sense> {
                  return check_block_descriptor(bytes);
              }}),
      logs_(server_),
      core_{.server = server_,
            .volume = volume,
            .modes = modes_,
            .block_bytes = choose_block_bytes(volume.geometry(), options.block_bytes),
            .block_count = volume.geometry().size_bytes / choose_block_bytes(volume.geometry(), options.block_bytes),
            .physical_block_bytes = options.physical_block_bytes != 0 ? options.physical_block_bytes
                                                                      : volume.geometry().physical_block_bytes,
            .read_only = volume.geometry().read_only,
            .long_commands = options.long_commands || options.protection != nullptr},
      protection_(make_protection(options)),
      inquiry_(server_, options.identity,
               {.type = PeripheralDeviceType::kDirectAccessBlock,
                .removable = options.removable,
                .protection = options.protection != nullptr,
                .asymmetric_access = std::ranges::any_of(options.ports, &TargetPort::group),
                .version_descriptors = kStandards},
               options.ports),
      removal_(server_), port_groups_(server_, options.ports), read_write_(core_), verify_(core_), compare_(core_),
      provisioning_(core_), cache_(core_), maintenance_(core_, removal_, options.removable) {
    add_primary_commands(server_);
    add_report_supported(server_);
    add_read_capacity(core_, provisioning_.can_unmap());
    add_mode_pages();
    add_log_pages();
    add_vital_product_data(options);
    add_atomic_writes(options);
    server_.set_readiness([this] { return readiness(); });
    server_.set_on_commit([this] { core_.volume.commit(); });
    open();
}

std::unique_ptr<ProtectedDisk> DiskUnit::make_protection(const DiskOptions& options) {
    if (options.protection == nullptr) return nullptr;
    auto made = std::make_unique<ProtectedDisk>(core_, *options.protection, options.protection_type);
    core_.protection = made.get();
    modes_.offer_application_tag_owner();
    return made;
}

void DiskUnit::add_atomic_writes(const DiskOptions& options) {
    storage::BlockDevice* const file = options.atomic_journal;
    if (file == nullptr || !AtomicJournal::suits(file->geometry())) return;
    const UnitIdentity& identity = options.identity;
    journal_ = std::make_unique<AtomicJournal>(*file, core_.volume, options.protection,
                                               identity.naa != 0 ? identity.naa : derive_naa(identity.serial));
    core_.journal = journal_.get();
    if (core_.read_only) return; // all the same: what a crash left there must not be missing unnoticed
    atomic_write_ = std::make_unique<AtomicWrite>(core_);
}

Job DiskUnit::open() {
    if (journal_) {
        Step<AtomicJournal::State> recovering = journal_->recover();
        (void)co_await recovering;
    }
    if (protection_) {
        Step<ProtectedDisk::State> opening = protection_->open();
        (void)co_await opening;
    }
}

std::optional<Sense> DiskUnit::readiness() const {
    if ((journal_ && journal_->state() == AtomicJournal::State::kRecovering) ||
        (protection_ && protection_->state() == ProtectedDisk::State::kOpening)) {
        return Sense::not_ready(SenseCode::kLogicalUnitBecomingReady);
    }
    if (auto sense = core_.failure()) return sense;
    return maintenance_.readiness();
}

std::vector<std::uint8_t> DiskUnit::block_descriptor(bool long_lba) const {
    ParameterData data;
    if (long_lba) return data.number(core_.block_count, 8).zeros(4).number(core_.block_bytes, 4).take();
    const std::uint64_t count = std::min<std::uint64_t>(core_.block_count, 0xFFFF'FFFF);
    return data.number(count, 4).zeros(1).number(core_.block_bytes, 3).take();
}

/// Block length and count stay as they are; a count of 0 or all ones says no more than that. (SBC-4 §6.5.2)
std::optional<Sense> DiskUnit::check_block_descriptor(std::span<const std::uint8_t> bytes) const {
    const auto own = block_descriptor(bytes.size() == 16);
    const std::size_t count_bytes = own.size() / 2;
    const auto wrong = Sense::invalid_field_in_parameters(0);
    if (bytes.size() != own.size()) return wrong;
    const auto count = bytes.first(count_bytes);
    const bool same_count = std::ranges::all_of(count, [](std::uint8_t byte) { return byte == 0; }) ||
                            std::ranges::all_of(count, [](std::uint8_t byte) { return byte == 0xFF; }) ||
                            std::ranges::equal(count, std::span(own).first(count_bytes));
    const bool same_length = std::ranges::equal(bytes.subspan(count_bytes), std::span(own).subspan(count_bytes));
    return same_count && same_length ? std::nullopt : std::optional(wrong);
}

void DiskUnit::add_mode_pages() {
    // Read-Write Error Recovery: automatic reallocation, as the host's storage does it. (SBC-4 §6.5.10)
    modes_.add_page(
        0x01, 0,
        {.current = {0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, .changeable = std::vector<std::uint8_t>(10), .apply = {}});
    // Caching: the write cache is the host's; without it every write is stable before it completes. (SBC-4 §6.5.6)
    ModePage caching{
        .current = std::vector<std::uint8_t>(18), .changeable = std::vector<std::uint8_t>(18), .apply = {}};
    caching.current[0] = caching.changeable[0] = 0x04; // WCE
    modes_.add_page(DiskCore::kCachingPage, 0, std::move(caching));
    // Informational Exceptions Control: nothing is predicted, DEXCPT. (SPC-5 §7.5.12)
    ModePage exceptions{
        .current = std::vector<std::uint8_t>(10), .changeable = std::vector<std::uint8_t>(10), .apply = {}};
    exceptions.current[0] = 0x08;
    modes_.add_page(0x1C, 0, std::move(exceptions));
}

void DiskUnit::add_log_pages() {
    constexpr std::uint8_t kBinaryList = 0x03;
    // Informational Exceptions: none. (SPC-5 §7.3.9)
    logs_.add_page(0x2F, 0, [] { return std::vector<LogParameter>{{0, kBinaryList, {0, 0, 0, 0}}}; });
    // General Statistics and Performance. (SPC-5 §7.3.8)
    logs_.add_page(0x19, 0, [this] {
        const auto& counters = read_write_.counters();
        ParameterData value;
        value.number(counters.reads, 8).number(counters.writes, 8).number(counters.written_blocks, 8);
        value.number(counters.read_blocks, 8).zeros(32);
        return std::vector<LogParameter>{{1, kBinaryList, value.take()}};
    });
}

void DiskUnit::add_vital_product_data(const DiskOptions& options) {
    inquiry_.add_page(VpdPage::kBlockLimits, [this](const Nexus&) { return block_limits(); });
    // (SBC-4 §6.6.2)
    inquiry_.add_page(VpdPage::kBlockDeviceCharacteristics, [rotating = options.rotating](const Nexus&) {
        constexpr std::uint16_t kNonRotating = 0x0001, k7200 = 7200;
        constexpr std::uint8_t kReadableWhenErased = 0x40; // WABEREQ: after a block erase reads find zeros
        return ParameterData()
            .number(rotating ? k7200 : kNonRotating, 2)
            .zeros(1)
            .byte(kReadableWhenErased)
            .zeros(56)
            .take();
    });
    if (!provisioning_.can_unmap()) return;
    // (SBC-4 §6.6.7) UNMAP and both WRITE SAMEs unmap; unmapped blocks read as zeros; thin.
    inquiry_.add_page(VpdPage::kLogicalBlockProvisioning, [](const Nexus&) {
        constexpr std::uint8_t kUnmaps = 0xE0, kReadsZeros = 0x04, kThin = 0x02;
        return ParameterData().byte(0).byte(kUnmaps | kReadsZeros).byte(kThin).zeros(1).take();
    });
}

/// (SBC-4 §6.6.4)
std::vector<std::uint8_t> DiskUnit::block_limits() const {
    const std::uint64_t transfer_limit = DiskCore::kTransferLimitBytes / core_.block_bytes;
    ParameterData data;
    data.byte(0).byte(CompareCommands::kCompareLimitBlocks).number(core_.blocks_per_physical(), 2);
    data.number(transfer_limit, 4).number(std::min<std::uint64_t>(transfer_limit, (1u << 20) / core_.block_bytes), 4);
    data.number(transfer_limit, 4);
    const bool thin = provisioning_.can_unmap();
    data.number(thin ? provisioning_.unmap_limit_blocks() : 0, 4);
    data.number(thin ? Provisioning::kUnmapDescriptorLimit : 0, 4);
    data.number(thin ? provisioning_.unmap_granularity_blocks() : 0, 4);
    data.number(thin ? 0x8000'0000 : 0, 4); // UGAVALID, aligned to block 0
    data.number(Provisioning::kWriteSameLimitBlocks, 8);
    const bool atomic = atomic_write_ != nullptr;
    data.number(atomic ? atomic_write_->limit_blocks() : 0, 4);
    data.number(atomic ? 1 : 0, 4).number(atomic ? 1 : 0, 4); // alignment, granularity
    data.number(0, 4).number(0, 4);                           // no atomic boundaries
    return data.take();
}

} // namespace touka::scsi
