// Cards that come and go while the machine runs.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "machine/cards.hpp"

namespace touka::machine {

std::vector<SlotReport> Cards::report() const {
    std::vector<SlotReport> all;
    for (const auto& slot : slots_) {
        SlotReport& report = all.emplace_back();
        report.number = slot->number;
        report.insertion = slot->insertion;
        report.removal_asked = slot->removal_asked;
        report.view = context_.root.look_at(*slot->port);
        if (slot->leaving.joinable()) report.state = SlotReport::State::kLeaving;
        if (!slot->card) continue;
        report.state = SlotReport::State::kOccupied;
        report.card = slot->card->config;
        report.answers = !slot->card->passthrough || !slot->card->passthrough->gone();
    }
    return all;
}

std::vector<CardConfig> Cards::configuration() const {
    std::vector<CardConfig> all;
    for (const auto& slot : slots_) all.push_back(slot->card ? slot->card->config : CardConfig(EmptySlot{}));
    return all;
}

std::expected<Cards::Slot*, std::string> Cards::occupied(std::uint16_t number) {
    if (number == 0 || number > slots_.size()) return std::unexpected(fmt::format("there is no slot {}", number));
    Slot* const slot = slots_[number - 1u].get();
    if (!slot->card) return std::unexpected(fmt::format("slot {} has no card", number));
    return slot;
}

std::expected<Cards::Slot*, std::string> Cards::free_slot(std::optional<std::uint16_t> number) {
    const auto is_free = [](const auto& slot) { return !slot->card && !slot->leaving.joinable(); };
    if (!number) {
        const auto found = std::ranges::find_if(slots_, is_free);
        if (found == slots_.end()) {
            return std::unexpected(slots_.empty() ? "the machine has no slots" : "no slot is free");
        }
        return found->get();
    }
    if (*number == 0 || *number > slots_.size()) return std::unexpected(fmt::format("there is no slot {}", *number));
    Slot* const slot = slots_[*number - 1u].get();
    if (slot->card) return std::unexpected(fmt::format("slot {} has a card", *number));
    if (slot->leaving.joinable()) {
        return std::unexpected(fmt::format("slot {}: the last card's work on this host is not over yet", *number));
    }
    return slot;
}

std::expected<std::uint16_t, std::string> Cards::plug(const PlugCard& wanted) {
    if (std::holds_alternative<EmptySlot>(wanted.card)) return std::unexpected("which card?");
    const auto slot = free_slot(wanted.slot);
    if (!slot) return std::unexpected(slot.error());
    if (auto inserted = insert(**slot, wanted.card, true); !inserted) return std::unexpected(inserted.error().text);
    return (*slot)->number;
}

std::expected<void, std::string> Cards::eject(std::uint16_t number) {
    const auto slot = occupied(number);
    if (!slot) return std::unexpected(slot.error());
    (*slot)->removal_asked = true;
    if (!(*slot)->shown || !context_.root.look_at(*(*slot)->port).powered) {
        take_out(**slot);
    } else {
        context_.root.request_removal(*(*slot)->port);
    }
    return {};
}

std::expected<void, std::string> Cards::pull(std::uint16_t number) {
    const auto slot = occupied(number);
    if (!slot) return std::unexpected(slot.error());
    take_out(**slot);
    return {};
}

/// Software let the card go, because somebody asked it to, or for reasons of its own: then the card stays.
void Cards::power_switched_off(Slot& slot) {
    slot.power_off_posted = false;
    if (!slot.card || !slot.removal_asked || context_.root.look_at(*slot.port).powered) return;
    take_out(slot);
}

void Cards::follow_presence(Slot& slot) {
    const auto look = [this, it = &slot, insertion = slot.insertion] {
        context_.post([this, it, insertion] { presence_changed(*it, insertion); });
    };
    slot.card->passthrough->set_notice_handler(look);
    slot.card->passthrough->set_presence_handler([look](bool there) {
        if (there) look();
    });
}

/// A server that is away for a moment is a card that does not answer and was reset: drivers go on after a reset of
/// their own. Once a driver has seen that it does not answer, it gives the card up, and only a card that is plugged in
/// anew gets one again.
void Cards::presence_changed(Slot& slot, std::uint64_t insertion) {
    if (!slot.card || slot.insertion != insertion) return;
    const bool there = !slot.card->passthrough->gone();
    if (there == slot.shown) return;
    slot.shown = there;
    if (there) {
        (void)context_.root.plug(*slot.port, 0, *slot.card->passthrough); // has the room that it had
    } else {
        context_.root.unplug(*slot.port, 0);
    }
}

/// From here on the slot is not the card's; that the card is gone is shown when nothing of it reaches the guest's
/// memory any more, and its objects go when no processor is within one of them.
void Cards::take_out(Slot& slot) {
    slot.removal_asked = false;
    context_.root.silence(*slot.port);
    slot.leaving = std::thread([this, &slot, card = std::move(slot.card)]() mutable {
        card->end_work();
        context_.root.show_removal(*slot.port);
        context_.accesses_over();
        card.reset();
        context_.post([&slot] { slot.leaving.join(); });
    });
}

} // namespace touka::machine
