// Commands on blocks with metadata: what they ask for, in one form, for ProtectedNamespace to do. (NVM Command Set 1.0
// §3.2, §5.2)
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "devices/nvme/block_range.hpp"
#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"
#include "devices/nvme/identify.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;
using scsi::ProtectionChecks;
using scsi::ProtectionType;

namespace {

constexpr unsigned kSectorShift = 9; // what the health log counts in

struct Tags {
    std::uint32_t reference;
    std::uint16_t application, application_mask;
};
Tags tags_of(const SubmissionEntry& command) {
    return {command.cdw14, static_cast<std::uint16_t>(command.cdw15), static_cast<std::uint16_t>(command.cdw15 >> 16)};
}

/// Tags to expect. A reference tag follows from the block's number in type 1, and means nothing in type 3. (§5.2.3)
/// @return nothing: the command contradicts that.
std::optional<ProtectedRange> expect(const Namespace& ns, std::uint32_t prinfo, const BlockRange& range,
                                     const Tags& tags) {
    ProtectedRange expected{.blocks = {range.first_lba, range.block_count},
                            .tags = {.type = ns.protection_type(),
                                     .application = tags.application,
                                     .application_mask = tags.application_mask},
                            .checks = {.guard = (prinfo & kPrinfoGuard) != 0,
                                       .application_tag = (prinfo & kPrinfoApplicationTag) != 0,
                                       .reference_tag = (prinfo & kPrinfoReferenceTag) != 0}};
    if (expected.tags.type != ProtectionType::kType3) expected.tags.reference = tags.reference;
    if (!expected.checks.reference_tag) return expected;
    if (expected.tags.type == ProtectionType::kType3) return std::nullopt;
    const bool follows = tags.reference == static_cast<std::uint32_t>(range.first_lba);
    if (expected.tags.type == ProtectionType::kType1 && !follows) return std::nullopt;
    return expected;
}

std::uint32_t prinfo_of(const SubmissionEntry& command) { return command.cdw12 >> kPrinfoShift & 0xF; }

/// Finds the host's memory of a command on one range.
Status map_range(Controller& controller, Request& request, const BlockRange& range, ProtectedCommand& command) {
    const Namespace& ns = *request.ns->ns;
    const std::uint64_t metadata = command.exchanged ? range.block_count * std::uint64_t{8} : 0;
    command.data_bytes = range.length_bytes(ns.block_shift());
    const std::uint64_t inside = command.extended ? metadata : 0;
    // Longer than MDTS says, with the metadata that is among the data. (Base 2.0 figure 275)
    if (command.data_bytes + inside > Controller::kTransferBytes) return Status::kInvalidField;
    const bool stores = command.opcode == IoOpcode::kRead;
    const Status status =
        controller.map(request, command.data_bytes + inside,
                       stores ? memory::DmaAccess::kWrite : memory::DmaAccess::kRead, metadata - inside);
    command.memory = request.data.pieces();
    controller.charge(command.data_bytes);
    return status;
}

Status parse_range(Controller& controller, Request& request, ProtectedCommand& command) {
    const Namespace& ns = *request.ns->ns;
    const BlockRange range = BlockRange::of(request.command);
    if (!range.within(ns)) return Status::kLbaOutOfRange;
    const auto expected = expect(ns, prinfo_of(request.command), range, tags_of(request.command));
    if (!expected) return Status::kInvalidProtectionInformation;
    command.ranges.push_back(*expected);
    if (command.opcode == IoOpcode::kVerify || command.opcode == IoOpcode::kWriteZeroes) return Status::kSuccess;
    return map_range(controller, request, range, command);
}

Status parse_copy(Controller& controller, Request& request, ProtectedCommand& command) {
    const Namespace& ns = *request.ns->ns;
    const std::uint32_t prinfo_read = request.command.cdw12 >> kPrinfoReadShift & 0xF;
    const std::uint32_t prinfo = prinfo_of(request.command);
    if (((prinfo ^ prinfo_read) & kPrinfoAction) != 0) return Status::kInvalidField; // (§3.2.2)
    std::vector<CopyRange> sources(request.step_count);
    if (const Status status = controller.receive(request, std::as_writable_bytes(std::span(sources)));
        status != Status::kSuccess) {
        return status;
    }
    std::uint32_t blocks = 0;
    for (const CopyRange& each : sources) {
        const BlockRange range{each.first_lba, each.block_count + 1u};
        if (range.block_count > kCopyRangeBlocks) return Status::kCommandSizeLimitExceeded;
        if (!range.within(ns)) return Status::kLbaOutOfRange;
        const auto expected =
            expect(ns, prinfo_read, range, {each.reference_tag, each.application_tag, each.application_tag_mask});
        if (!expected) return Status::kInvalidProtectionInformation;
        command.ranges.push_back(*expected);
        blocks += range.block_count;
    }
    if (blocks > kCopyBlocks) return Status::kCommandSizeLimitExceeded;
    const BlockRange to{request.command.cdw10 | std::uint64_t{request.command.cdw11} << 32, blocks};
    if (!to.within(ns)) return Status::kLbaOutOfRange;
    const auto expected = expect(ns, prinfo, to, tags_of(request.command));
    if (!expected) return Status::kInvalidProtectionInformation;
    command.destination = *expected;
    controller.charge(2 * to.length_bytes(ns.block_shift()));
    return Status::kSuccess;
}

Status parse_deallocation(Controller& controller, Request& request, ProtectedCommand& command) {
    std::vector<DatasetRange> ranges(request.step_count);
    if (const Status status = controller.receive(request, std::as_writable_bytes(std::span(ranges)));
        status != Status::kSuccess) {
        return status;
    }
    const bool deallocates = (request.command.cdw11 & kDatasetDeallocate) != 0;
    for (const DatasetRange& each : ranges) {
        if (!BlockRange{each.first_lba, each.block_count}.within(*request.ns->ns)) return Status::kLbaOutOfRange;
        if (deallocates) command.ranges.push_back({.blocks = {each.first_lba, each.block_count}, .tags{}, .checks{}});
    }
    return Status::kSuccess;
}

Status parse(Controller& controller, Request& request, ProtectedCommand& command) {
    switch (command.opcode) {
        case IoOpcode::kCopy: return parse_copy(controller, request, command);
        case IoOpcode::kDatasetManagement: return parse_deallocation(controller, request, command);
        default: return parse_range(controller, request, command);
    }
}

void finish(Controller& controller, Request& request, Status status, std::uint32_t detail) {
    const auto opcode = static_cast<IoOpcode>(request.command.opcode);
    if (opcode == IoOpcode::kCopy && status != Status::kSuccess) request.dw0 = detail;
    const std::uint64_t sectors =
        BlockRange::of(request.command).length_bytes(request.ns->ns->block_shift()) >> kSectorShift;
    auto& counters = controller.logs().counters;
    if (status == Status::kSuccess && opcode == IoOpcode::kRead) {
        controller.stored(request);
        ++counters.reads;
        counters.blocks_read += sectors;
    } else if (status == Status::kSuccess && opcode == IoOpcode::kWrite) {
        ++counters.writes;
        counters.blocks_written += sectors;
    }
    controller.complete(request, status);
}

} // namespace

Outcome protected_command(Controller& controller, Request& request) {
    const Namespace& ns = *request.ns->ns;
    ProtectedCommand command{.opcode = static_cast<IoOpcode>(request.command.opcode),
                             .ranges{},
                             .exchanged = (prinfo_of(request.command) & kPrinfoAction) == 0,
                             .extended = ns.extended(),
                             .stable =
                                 (request.command.cdw12 & kForceUnitAccess) != 0 || !controller.features().write_cache,
                             .deallocates = (request.command.cdw12 & kDeallocate) != 0,
                             .type = ns.protection_type(),
                             .application_tag = tags_of(request.command).application,
                             .reference_tag = tags_of(request.command).reference,
                             .destination{},
                             .memory{}};
    if (const Status status = parse(controller, request, command); status != Status::kSuccess) return status;
    ns.configuration().protection->run(
        std::move(command), [&controller, &request](Status status, std::uint32_t detail) {
            controller.post([&controller, &request, status, detail] { finish(controller, request, status, detail); });
        });
    return std::nullopt;
}

} // namespace touka::devices::nvme
