#include "machine/passed_statistics.hpp"

#include <fmt/format.h>

#include "machine/cards.hpp"

namespace touka::machine {

std::string describe(std::string_view name, const devices::passthrough::PassthroughCounts& counts) {
    return fmt::format(
        "{}: {} accesses to BARs forwarded, {} by this process's own mapping; {} bytes of BARs mapped into "
        "the guest; {} interrupts through this process, {} vectors by irqfd\n",
        name, counts.forwarded, counts.direct, counts.most_mapped_bytes, counts.raised_interrupts,
        counts.most_carried_vectors);
}

std::string Cards::statistics() const {
    std::string text;
    for (const auto& slot : slots_) {
        if (!slot->card || !slot->card->passthrough) continue;
        text += describe(slot->card->passthrough->name(), slot->card->passthrough->counts());
    }
    return text;
}

} // namespace touka::machine
