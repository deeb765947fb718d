// What can be asked of a running machine's slots, and what it answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "machine/config.hpp"
#include "platform/pci/pci_root.hpp"

namespace touka::machine {

/// What is in the slots.
struct ListSlots {};
/// A card into a slot; nothing: the first free one.
struct PlugCard {
    CardConfig card;
    std::optional<std::uint16_t> slot;
};
/// The attention button; when the guest has let the card go, it is taken out.
struct EjectCard {
    std::uint16_t slot = 0;
};
/// Out, whatever the guest does with it.
struct PullCard {
    std::uint16_t slot = 0;
};
using SlotQuestion = std::variant<ListSlots, PlugCard, EjectCard, PullCard>;

struct SlotReport {
    enum class State {
        kEmpty,
        kOccupied,
        kLeaving, ///< the card is out, and what it had under way on the host is not over
    };
    std::uint16_t number = 0; ///< as the guest shows it
    State state = State::kEmpty;
    CardConfig card = EmptySlot{};
    std::uint64_t insertion = 0; ///< of the card that is or was there last: another one has another number
    bool answers = true;         ///< false: its server is not there
    bool removal_asked = false;  ///< and the guest has not let it go
    platform::PciRoot::SlotView view;
};

/// The answer to any question.
struct SlotAnswer {
    std::string error;             ///< for the user; empty: done, or begun
    std::uint16_t slot = 0;        ///< that the question was about
    std::vector<SlotReport> slots; ///< after it
};

} // namespace touka::machine
