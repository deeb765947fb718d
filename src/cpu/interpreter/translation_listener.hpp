// Who keeps address translations besides the interpreter's own TLB, and must drop them when the guest says so, or when
// a page that it lets code store to becomes code.
#pragma once

#include <cstdint>

namespace touka::cpu::interpreter {

/// @thread the processor's.
class TranslationListener {
public:
    virtual ~TranslationListener() = default;
    /// Everything, global pages too.
    virtual void all_flushed() = 0;
    /// INVLPG: the page of `linear` in the running address space, and whatever its size.
    virtual void page_flushed(std::uint64_t linear) = 0;
    /// CR3 was written; Processor::cr3 is the new one.
    /// @param keep the guest allows what is known of the new address space to stay (PCID with bit 63 set).
    virtual void address_space_changed(bool keep) = 0;
    /// Code of a page of RAM is about to be decoded: sees to it that nobody stores there unseen (CodePages::mark).
    virtual void code_read(std::uint64_t page) = 0;
};

} // namespace touka::cpu::interpreter
