// Which feature bits a guest is shown.
#pragma once

#include "cpu/cpuid.hpp"

namespace touka::cpu {

/// What the engine can do, and the host as well unless it is `emulated`, without what no guest is shown
/// (virtualization, power, performance monitoring, supervisor state that is not saved), and without features whose
/// prerequisites are missing: no AVX without its XSAVE component, no AVX-512 in parts.
[[nodiscard]] CpuFeatures offered_features(const CpuFeatures& engine, const CpuFeatures& emulated,
                                           const CpuidTable& host);

/// The same bits as the table says: what an engine reads out of the kernel's list.
[[nodiscard]] CpuFeatures features_of(const CpuidTable& table);

} // namespace touka::cpu
