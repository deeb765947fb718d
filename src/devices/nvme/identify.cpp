// Identify. (NVM Express Base 2.0 §5.17; NVM Command Set 1.0 §4.1.5)
#include "devices/nvme/identify.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>

#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

namespace {

template <std::size_t N>
void put_text(std::array<char, N>& field, std::string_view text) {
    field.fill(' '); // §1.4.2: ASCII strings are left justified, with spaces after
    std::ranges::copy(text.substr(0, N), field.begin());
}

} // namespace

IdentifyController identify_controller(Controller& controller) {
    const SubsystemConfiguration& subsystem = controller.subsystem().configuration();
    const bool primary = controller.subsystem().resources(controller.id()).primary.has_value();
    IdentifyController data{};
    data.vid = subsystem.vendor_id;
    data.ssvid = subsystem.subsystem_vendor_id;
    put_text(data.sn, subsystem.serial);
    put_text(data.mn, subsystem.model);
    put_text(data.fr, kFirmwareRevision);
    data.rab = 3;
    data.cmic = kCmicMultipleControllers;
    if (controller.configuration().virtual_function) data.cmic |= kCmicVirtualFunction;
    data.mdts = Controller::kMaximumTransfer;
    data.cntlid = controller.id();
    data.ver = kVersion20;
    data.oaes = kOaesNamespaceAttributes;
    data.ctratt = kCtratt128BitHostId;
    data.cntrltype = kControllerTypeIo;
    data.oacs = kOacsFormat | kOacsDoorbellBuffer;
    if (!controller.configuration().virtual_function) data.oacs |= kOacsNamespaceManagement;
    if (primary) data.oacs |= kOacsVirtualization;
    data.acl = 3;
    data.aerl = AsyncEvents::kRequestLimit - 1;
    data.frmw = kFrmwOneReadOnlySlot;
    data.lpa = kLpaEffects | kLpaExtended;
    data.elpe = ControllerLogs::kErrorEntries - 1;
    data.wctemp = Features::kWarningTemperature;
    data.cctemp = Features::kCriticalTemperature;
    data.sqes = kSubmissionEntryShift | kSubmissionEntryShift << 4;
    data.cqes = kCompletionEntryShift | kCompletionEntryShift << 4;
    data.nn = data.mnan = subsystem.namespace_limit;
    data.oncs = kOncsCompare | kOncsDatasetManagement | kOncsWriteZeroes | kOncsReservations | kOncsTimestamp |
                kOncsVerify | kOncsCopy;
    data.fuses = kFusesCompareAndWrite;
    data.acwu = Controller::kTransferBytes / 4096 - 1; // of the largest blocks: the pair has the namespace to itself
    data.vwc = kVwcPresent | kVwcFlushAll;
    data.ocfs = 0x0001; // copy descriptor format 0
    data.sgls = kSglsAnyAlignment | kSglsContiguousMetadata | kSglsLongerThanData;
    std::ranges::copy(std::string_view(subsystem.nqn).substr(0, data.subnqn.size() - 1), data.subnqn.begin());
    data.psd[0].max_power = 2500;
    return data;
}

IdentifyNamespace identify_namespace(const Namespace& ns) {
    const storage::BlockGeometry& geometry = ns.geometry();
    const std::uint32_t block_bytes = 1u << ns.block_shift();
    IdentifyNamespace data{};
    data.nsze = data.ncap = data.nuse = ns.block_count();
    data.nlbaf = static_cast<std::uint8_t>(ns.formats().size() - 1);
    data.flbas = ns.flbas();
    if (ns.configuration().protection) {
        data.mc = kMcExtended | kMcSeparate;
        data.dpc = kDpcAllTypes | kDpcFirst | kDpcLast;
        data.dps = ns.dps();
    }
    data.nmic = kNmicShared;
    data.rescap = kRescapAllTypes | kRescapIekey13;
    data.dlfeat = kDlfeatWriteZeroesDeallocates | kDlfeatReadsZeros;
    data.nvmcap[0] = geometry.size_bytes;
    data.nsfeat = kNsfeatPreferred;
    const auto less_one = [block_bytes](std::uint32_t bytes) {
        return static_cast<std::uint16_t>(std::clamp(bytes / block_bytes, 1u, 0x10000u) - 1);
    };
    data.npwg = data.npwa = less_one(geometry.physical_block_bytes);
    data.npdg = data.npda = less_one(geometry.discard_granularity_bytes);
    data.mssrl = kCopyRangeBlocks;
    data.mcl = kCopyBlocks;
    data.msrc = kCopyRanges - 1;
    if (geometry.read_only) data.nsattr = kNsattrWriteProtected;
    std::ranges::copy(ns.formats(), data.lbaf.begin());
    return data;
}

IndependentNamespace independent_namespace(const Namespace& ns) {
    IndependentNamespace data{};
    data.nmic = kNmicShared;
    data.rescap = kRescapAllTypes | kRescapIekey13;
    if (ns.geometry().read_only) data.nsattr = kNsattrWriteProtected;
    if (!ns.formatting.load()) data.nstat = kNstatReady;
    return data;
}

namespace {

template <class Data>
Outcome answer(Controller& controller, Request& request, const Data& data) {
    static_assert(sizeof data == kIdentifyBytes);
    return controller.send(request, std::as_bytes(std::span(&data, 1)), kIdentifyBytes);
}

Outcome answer_namespace(Controller& controller, Request& request, bool active_only, auto make) {
    const std::uint32_t nsid = request.command.nsid;
    using Data = decltype(make(*controller.subsystem().find(1)));
    if (nsid == kAllNamespaces) { // what all namespaces have in common, which is nothing here but their formats
        const std::vector<std::uint32_t> all = controller.subsystem().namespaces();
        if (all.empty()) return Status::kInvalidNamespaceOrFormat;
        Data data = make(*controller.subsystem().find(all.front()));
        if constexpr (std::is_same_v<Data, IdentifyNamespace>) data.nsze = data.ncap = data.nuse = 0;
        return answer(controller, request, data);
    }
    const Namespace* const ns = controller.subsystem().find(nsid);
    if (nsid == 0 || nsid > controller.subsystem().configuration().namespace_limit) {
        return Status::kInvalidNamespaceOrFormat;
    }
    // An identifier that is not in use here: zeros. (§5.17.2.1)
    if (ns == nullptr || (active_only && !controller.attached(nsid))) return answer(controller, request, Data{});
    return answer(controller, request, make(*ns));
}

} // namespace

Outcome identify(Controller& controller, Request& request) {
    const SubmissionEntry& command = request.command;
    const auto cns = static_cast<Cns>(command.cdw10 & 0xFF);
    const auto command_set = static_cast<std::uint8_t>(command.cdw11 >> 24);
    switch (cns) {
        case Cns::kNamespace: return answer_namespace(controller, request, true, identify_namespace);
        case Cns::kAllocatedNamespace:
            if (controller.configuration().virtual_function) return Status::kInvalidField;
            return answer_namespace(controller, request, false, identify_namespace);
        case Cns::kIndependentNamespace: return answer_namespace(controller, request, true, independent_namespace);
        case Cns::kController: return answer(controller, request, identify_controller(controller));
        case Cns::kCommandSetNamespace:
        case Cns::kCommandSetAllocatedNamespace: {
            const bool others = cns == Cns::kCommandSetAllocatedNamespace;
            if (others && controller.configuration().virtual_function) return Status::kInvalidField;
            if (command_set != kCommandSetNvm) return Status::kInvalidField;
            // Guards of 16 bits, and no storage tag: zeros. (NVM Command Set 1.0 §4.1.5.3)
            const auto empty = [](const Namespace&) { return std::array<std::byte, kIdentifyBytes>{}; };
            return answer_namespace(controller, request, !others, empty);
        }
        case Cns::kCommandSetController: {
            if (command_set != kCommandSetNvm) return Status::kInvalidField;
            NvmController data{}; // the limits of commands that move no data: none but a command's own fields
            data.dmrl = 0;
            return answer(controller, request, data);
        }
        default: return identify_list(controller, request, cns);
    }
}

} // namespace touka::devices::nvme
