// Data structures of Identify. (NVM Express Base 2.0 §5.17; NVM Command Set 1.0 §4.1.5)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace touka::spec::nvme {

inline constexpr std::size_t kIdentifyBytes = 4096;

/// Base 2.0 §5.17.1 figure 273: Controller or Namespace Structure.
enum class Cns : std::uint8_t {
    kNamespace = 0x00,
    kController = 0x01,
    kActiveNamespaces = 0x02,
    kNamespaceDescriptors = 0x03,
    kNvmSets = 0x04,
    kCommandSetNamespace = 0x05,
    kCommandSetController = 0x06,
    kCommandSetActiveNamespaces = 0x07,
    kIndependentNamespace = 0x08,
    kAllocatedNamespaces = 0x10,
    kAllocatedNamespace = 0x11,
    kAttachedControllers = 0x12,
    kControllers = 0x13,
    kPrimaryCapabilities = 0x14,
    kSecondaryControllers = 0x15,
    kCommandSetAllocatedNamespaces = 0x1A,
    kCommandSetAllocatedNamespace = 0x1B,
    kCommandSets = 0x1C,
};

/// Figure 276: power state descriptor.
struct PowerState {
    std::uint16_t max_power; ///< in 10 mW
    std::array<std::uint8_t, 30> rest;
};
static_assert(sizeof(PowerState) == 32);

/// Figure 275: Identify Controller data structure. (§5.17.2.1)
struct [[gnu::packed]] IdentifyController {
    std::uint16_t vid, ssvid;
    std::array<char, 20> sn;
    std::array<char, 40> mn;
    std::array<char, 8> fr;
    std::uint8_t rab;
    std::array<std::uint8_t, 3> ieee;
    std::uint8_t cmic, mdts;
    std::uint16_t cntlid;
    std::uint32_t ver, rtd3r, rtd3e, oaes, ctratt;
    std::array<std::uint8_t, 11> reserved100;
    std::uint8_t cntrltype;
    std::array<std::uint8_t, 16> fguid;
    std::array<std::uint8_t, 128> reserved128;
    std::uint16_t oacs;
    std::uint8_t acl, aerl, frmw, lpa, elpe, npss, avscc, apsta;
    std::uint16_t wctemp, cctemp, mtfa;
    std::uint32_t hmpre, hmmin;
    std::array<std::uint64_t, 2> tnvmcap, unvmcap;
    std::array<std::uint8_t, 200> reserved312;
    std::uint8_t sqes, cqes;
    std::uint16_t maxcmd;
    std::uint32_t nn;
    std::uint16_t oncs, fuses;
    std::uint8_t fna, vwc;
    std::uint16_t awun, awupf;
    std::uint8_t icsvscc, nwpc;
    std::uint16_t acwu, ocfs;
    std::uint32_t sgls, mnan;
    std::array<std::uint8_t, 224> reserved544;
    std::array<char, 256> subnqn;
    std::array<std::uint8_t, 1024> reserved1024;
    std::array<PowerState, 32> psd;
    std::array<std::uint8_t, 1024> vendor_specific;
};
static_assert(sizeof(IdentifyController) == kIdentifyBytes && offsetof(IdentifyController, oacs) == 256 &&
              offsetof(IdentifyController, sqes) == 512 && offsetof(IdentifyController, sgls) == 536 &&
              offsetof(IdentifyController, subnqn) == 768 && offsetof(IdentifyController, psd) == 2048);

/// Figure 275: bits of its fields that are used here.
inline constexpr std::uint8_t kCmicMultipleControllers = 0x02, kCmicVirtualFunction = 0x04;
inline constexpr std::uint8_t kControllerTypeIo = 1;
inline constexpr std::uint32_t kOaesNamespaceAttributes = 1u << 8;
inline constexpr std::uint32_t kCtratt128BitHostId = 1u << 0;
inline constexpr std::uint16_t kOacsFormat = 1u << 1, kOacsNamespaceManagement = 1u << 3, kOacsVirtualization = 1u << 7,
                               kOacsDoorbellBuffer = 1u << 8;
inline constexpr std::uint8_t kFrmwOneReadOnlySlot = 0x03, kLpaEffects = 1u << 1, kLpaExtended = 1u << 2;
inline constexpr std::uint16_t kOncsCompare = 1u << 0, kOncsDatasetManagement = 1u << 2, kOncsWriteZeroes = 1u << 3,
                               kOncsReservations = 1u << 5, kOncsTimestamp = 1u << 6, kOncsVerify = 1u << 7,
                               kOncsCopy = 1u << 8;
inline constexpr std::uint8_t kVwcPresent = 0x01, kVwcFlushAll = 0x06; // bits 2:1: a flush may be of all namespaces
inline constexpr std::uint16_t kFusesCompareAndWrite = 1u << 0;
inline constexpr std::uint32_t kSglsAnyAlignment = 0x1, kSglsContiguousMetadata = 1u << 17,
                               kSglsLongerThanData = 1u << 18;

/// NVM Command Set 1.0 §4.1.5.1 figure 98: a format of blocks.
struct LbaFormat {
    std::uint16_t metadata_bytes;
    std::uint8_t data_shift; ///< blocks of 2^LBADS bytes
    std::uint8_t relative_performance;
};
static_assert(sizeof(LbaFormat) == 4);

/// NVM Command Set 1.0 §4.1.5.1 figure 97: Identify Namespace data structure.
struct [[gnu::packed]] IdentifyNamespace {
    std::uint64_t nsze, ncap, nuse;
    std::uint8_t nsfeat, nlbaf, flbas, mc, dpc, dps, nmic, rescap, fpi, dlfeat;
    std::uint16_t nawun, nawupf, nacwu, nabsn, nabo, nabspf, noiob;
    std::array<std::uint64_t, 2> nvmcap;
    std::uint16_t npwg, npwa, npdg, npda, nows, mssrl;
    std::uint32_t mcl;
    std::uint8_t msrc;
    std::array<std::uint8_t, 11> reserved81;
    std::uint32_t anagrpid;
    std::array<std::uint8_t, 3> reserved96;
    std::uint8_t nsattr;
    std::uint16_t nvmsetid, endgid;
    std::array<std::uint8_t, 16> nguid;
    std::array<std::uint8_t, 8> eui64;
    std::array<LbaFormat, 64> lbaf;
    std::array<std::uint8_t, 3712> vendor_specific;
};
static_assert(sizeof(IdentifyNamespace) == kIdentifyBytes && offsetof(IdentifyNamespace, nvmcap) == 48 &&
              offsetof(IdentifyNamespace, mssrl) == 74 && offsetof(IdentifyNamespace, nguid) == 104 &&
              offsetof(IdentifyNamespace, lbaf) == 128);
inline constexpr std::uint8_t kNsfeatThin = 1u << 0, kNsfeatPreferred = 1u << 4; // OPTPERF: NPWG to NOWS are valid
inline constexpr std::uint8_t kNmicShared = 1u << 0, kNsattrWriteProtected = 1u << 0;
inline constexpr std::uint8_t kDlfeatReadsZeros = 0x01, kDlfeatWriteZeroesDeallocates = 0x08;
/// MC: metadata after each block, or in a buffer of its own. DPC: types 1 to 3, in the first or the last eight bytes,
/// which are all that there are.
inline constexpr std::uint8_t kMcExtended = 1u << 0, kMcSeparate = 1u << 1;
inline constexpr std::uint8_t kDpcAllTypes = 0x07, kDpcFirst = 1u << 3, kDpcLast = 1u << 4, kDpsFirst = 1u << 3;
/// RESCAP: PTPL, all six types, and IEKEY as of 1.3. (Base 2.0 §5.17.2.8 figure 280)
inline constexpr std::uint8_t kRescapPersistThroughPowerLoss = 0x01, kRescapAllTypes = 0x7E, kRescapIekey13 = 0x80;

/// Base 2.0 §5.17.2.8 figure 280: I/O Command Set Independent Identify Namespace data structure.
struct [[gnu::packed]] IndependentNamespace {
    std::uint8_t nsfeat, nmic, rescap, fpi;
    std::uint32_t anagrpid;
    std::uint8_t nsattr, reserved9;
    std::uint16_t nvmsetid, endgid;
    std::uint8_t nstat;
    std::array<std::uint8_t, 4081> reserved15;
};
static_assert(sizeof(IndependentNamespace) == kIdentifyBytes);
inline constexpr std::uint8_t kNstatReady = 0x01;

/// NVM Command Set 1.0 §4.1.5.4 figure 102: I/O command set specific Identify Controller.
struct [[gnu::packed]] NvmController {
    std::uint8_t vsl, wzsl, wusl, dmrl;
    std::uint32_t dmrsl;
    std::uint64_t dmsl;
    std::array<std::uint8_t, 4080> reserved16;
};
static_assert(sizeof(NvmController) == kIdentifyBytes);

/// Base 2.0 §5.17.2.3 figure 277: types of namespace identification descriptors; NIDT, NIDL, two reserved bytes, NID.
inline constexpr std::uint8_t kNidtNguid = 2, kNidtUuid = 3, kNidtCommandSet = 4;
inline constexpr std::uint8_t kCommandSetNvm = 0;

} // namespace touka::spec::nvme
