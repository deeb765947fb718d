// SIGSEGV, SIGBUS and SIGFPE of translated code, turned into a way on.
#pragma once

#include "cpu/translator/frame.hpp"

namespace touka::cpu::translator {

class TranslationCache;

/// While it exists, faults of this thread at fault sites of `cache` leave translated code; the site is left in
/// Frame::fault_site. All other faults are what they were before.
/// @thread the vCPU's; one at a time on each.
class HostFaultScope {
public:
    HostFaultScope(Frame& frame, const TranslationCache& cache);
    ~HostFaultScope();
    HostFaultScope(const HostFaultScope&) = delete;
    HostFaultScope& operator=(const HostFaultScope&) = delete;
};

} // namespace touka::cpu::translator
