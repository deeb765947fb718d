// What is written down of blocks when they are translated.
#pragma once

#include <memory>
#include <ostream>
#include <string>

#include "cpu/translator/translation_observer.hpp"
#include "runtime/guarded.hpp"

namespace touka::cpu::translator {

/// The block in guest and host form, headed by where it comes from and where it lies: several lines.
[[nodiscard]] std::string block_dump(const TranslatedBlock& block);

/// A line of /tmp/perf-PID.map, by which Linux' perf finds names for generated code: where, how long, and the linear
/// address of the guest's code, as "guest:ffffffff81000040". perf takes the last line about an address, so that samples
/// of code that was dropped since, when code memory was full, get the names of what came after it.
[[nodiscard]] std::string perf_map_line(const TranslatedBlock& block);

/// Writes a text for each block to a stream at once: whatever happens to the machine, it is there.
class TranslationLog final : public TranslationObserver {
public:
    using Text = std::string (*)(const TranslatedBlock& block);
    TranslationLog(std::unique_ptr<std::ostream> to, Text text) : to_(std::move(to)), text_(text) {}
    void translated(const TranslatedBlock& block) override;

private:
    runtime::Guarded<std::unique_ptr<std::ostream>> to_;
    Text text_;
};

} // namespace touka::cpu::translator
