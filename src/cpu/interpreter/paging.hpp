// From linear to guest physical addresses through the guest's page tables. (AMD64 APM vol. 2 rev. 3.42 §5)
#pragma once

#include <cstdint>
#include <expected>

#include "spec/address.hpp"

namespace touka::cpu::interpreter {

struct Processor;

enum class AccessKind : std::uint8_t { kRead, kWrite, kExecute };

struct Translation {
    spec::GuestAddress physical; ///< of the linear address asked for
    bool writable = false;       ///< a write by the same privilege would succeed, and the dirty bit is set
    bool executable = false;
    bool global = false;
    std::uint64_t page_bytes = 4096; ///< size of the page in the guest's tables
};

/// Walks the tables as CR0, CR3, CR4 and EFER say, setting accessed and dirty bits atomically.
/// @param user access with user privilege (CPL 3, and not an implicit supervisor access).
/// @return the translation, or the error code of the page fault. Without paging: identity.
[[nodiscard]] std::expected<Translation, std::uint32_t> translate(Processor& p, std::uint64_t linear, AccessKind kind,
                                                                  bool user);

} // namespace touka::cpu::interpreter
