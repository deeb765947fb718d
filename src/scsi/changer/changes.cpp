// Changes of a library's inventory: cartridges leave drives, the new inventory is saved, cartridges enter drives, and
// only then is anything answered. When the program ends in between, the inventory that was saved is what is found.
#include <fmt/format.h>

#include <utility>

#include "scsi/changer/changer_unit.hpp"

namespace touka::scsi {

/// A change under way.
struct ChangerUnit::Change {
    std::vector<Relocation> relocations; ///< from or to 0: the operator's hands
    Inventory next;                      ///< what is going to be there
    std::size_t emptied = 0;             ///< relocations whose drive has been seen to
    std::size_t filling = 0;             ///< drives that are still loading
    Ended ended;
};

namespace {

Sense sense_of(TapeRemovalError error) {
    switch (error) {
        case TapeRemovalError::kEmpty: return Sense::illegal_request(SenseCode::kMediumSourceElementEmpty);
        case TapeRemovalError::kBusy: return Sense::not_ready(SenseCode::kLogicalUnitBecomingReady);
        case TapeRemovalError::kPrevented: return Sense::illegal_request(SenseCode::kMediumRemovalPrevented);
        case TapeRemovalError::kWriteFailed: break;
    }
    return Sense::of(SenseKey::kHardwareError, SenseCode::kMediaLoadOrEjectFailed);
}

Sense not_saved() { return Sense::of(SenseKey::kHardwareError, SenseCode::kInternalTargetFailure); }

/// For the operator.
std::string text_of(const Sense& sense) {
    switch (sense.code) {
        case SenseCode::kInvalidElementAddress: return "there is no such element, or it holds no cartridges";
        case SenseCode::kMediumSourceElementEmpty: return "the element is empty";
        case SenseCode::kMediumDestinationElementFull: return "the element is full";
        case SenseCode::kMediumRemovalPrevented: return "an initiator prevents it";
        case SenseCode::kLogicalUnitBecomingReady: return "the drive is busy";
        case SenseCode::kMediaLoadOrEjectFailed: return "what was written last could not be stored";
        default: return "the inventory could not be saved";
    }
}

} // namespace

template <class Function>
auto ChangerUnit::alive(Function function) {
    return [alive = std::weak_ptr(alive_), function = std::move(function)](auto&&... arguments) {
        if (!alive.expired()) function(std::forward<decltype(arguments)>(arguments)...);
    };
}

void ChangerUnit::enqueue(std::function<void()> operation) {
    operations_.push_back(std::move(operation));
    if (operations_.size() == 1) std::function(operations_.front())(); // a copy: it may end, and go, at once
}

void ChangerUnit::next_operation() {
    operations_.pop_front();
    if (!operations_.empty()) std::function(operations_.front())();
}

void ChangerUnit::relocate(std::function<std::expected<std::vector<Relocation>, Sense>()> plan, Ended ended) {
    enqueue([this, plan = std::move(plan), ended = std::move(ended)] {
        auto relocations = plan();
        if (!relocations) {
            ended(relocations.error());
            return next_operation();
        }
        auto change = std::make_shared<Change>(); // shared: it goes through the drives' and the worker's completions
        change->next = inventory_;
        change->next.apply(*relocations);
        change->relocations = std::move(*relocations);
        change->ended = ended;
        empty_drives(change);
    });
}

void ChangerUnit::empty_drives(const std::shared_ptr<Change>& change) {
    while (change->emptied < change->relocations.size()) {
        TapeUnit* const drive = drive_at(change->relocations[change->emptied].from);
        if (drive != nullptr) {
            return drive->remove(alive([this, change](const std::expected<Cartridge, TapeRemovalError>& removed) {
                if (!removed) return undo(change, sense_of(removed.error()));
                ++change->emptied;
                empty_drives(change);
            }));
        }
        ++change->emptied;
    }
    save(change);
}

void ChangerUnit::save(const std::shared_ptr<Change>& change) {
    auto saved = std::make_shared<std::expected<void, std::string>>();
    worker_->run([this, saved, next = change->next] { *saved = store_->save(next); }, alive([this, saved, change] {
                     if (!*saved) return undo(change, not_saved());
                     inventory_ = std::move(change->next);
                     fill_drives(change);
                 }));
}

/// A cartridge whose image cannot be used is in the drive all the same, and the drive says so.
void ChangerUnit::fill_drives(const std::shared_ptr<Change>& change) {
    change->filling = 1; // until all of them were told
    const auto filled = [this, change] {
        if (--change->filling > 0) return;
        change->ended(std::nullopt);
        next_operation();
    };
    for (const Relocation& relocation : change->relocations) {
        TapeUnit* const drive = drive_at(relocation.to);
        if (drive == nullptr) continue;
        ++change->filling;
        drive->insert(inventory_.find(relocation.to)->cartridge, alive([filled](const auto&) { filled(); }));
    }
    filled();
}

/// Puts back what was taken out of drives already.
void ChangerUnit::undo(const std::shared_ptr<Change>& change, Sense sense) {
    for (std::size_t i = 0; i < change->emptied; ++i) {
        const ElementAddress from = change->relocations[i].from;
        if (TapeUnit* const drive = drive_at(from)) drive->insert(inventory_.find(from)->cartridge, [](const auto&) {});
    }
    change->ended(sense);
    next_operation();
}

void ChangerUnit::load_drives(const std::function<void(std::string)>& failed) {
    for (const auto& [element, stored] : inventory_.cartridges()) {
        TapeUnit* const drive = drive_at(element);
        if (drive == nullptr) continue;
        drive->insert(stored.cartridge, [failed](const std::expected<void, std::string>& loaded) {
            if (!loaded) failed(loaded.error());
        });
    }
}

void ChangerUnit::move(ElementAddress from, ElementAddress to, Done done) {
    relocate([this, from, to] { return inventory_.plan_move(from, to); },
             [from, done = std::move(done)](const std::optional<Sense>& sense) {
                 if (sense) return done(std::unexpected(fmt::format("element {}: {}", from, text_of(*sense))));
                 done({});
             });
}

void ChangerUnit::put_in(ElementAddress element, Cartridge cartridge, Done done) {
    enqueue([this, element, cartridge = std::move(cartridge), done = std::move(done)] {
        const ElementType type = inventory_.geometry().type_of(element);
        auto change = std::make_shared<Change>();
        change->next = inventory_;
        std::erase(change->next.outside, cartridge.barcode);
        std::expected<void, std::string> put = std::unexpected(fmt::format("element {}: has no door", element));
        if (type == ElementType::kImportExport || type == ElementType::kDataTransfer) {
            put = change->next.put(element, {.cartridge = cartridge, .imported = true});
        }
        if (!put) {
            done(put);
            return next_operation();
        }
        change->relocations = {{0, element}};
        change->ended = [this, type, done](const std::optional<Sense>& sense) {
            if (sense) return done(std::unexpected(text_of(*sense)));
            server_.attentions().establish_for_others(nullptr, type == ElementType::kImportExport
                                                                   ? SenseCode::kImportOrExportElementAccessed
                                                                   : SenseCode::kNotReadyToReadyChange);
            done({});
        };
        empty_drives(change);
    });
}

void ChangerUnit::take_out(ElementAddress element, Done done) {
    enqueue([this, element, done = std::move(done)] {
        const ElementType type = inventory_.geometry().type_of(element);
        const bool door = type == ElementType::kImportExport || type == ElementType::kDataTransfer;
        const StoredCartridge* const stored = inventory_.find(element);
        std::string refusal;
        if (!door) refusal = "has no door";
        if (door && stored == nullptr) refusal = "is empty";
        if (removal_.prevented()) refusal = "an initiator prevents it";
        if (!refusal.empty()) {
            done(std::unexpected(fmt::format("element {}: {}", element, refusal)));
            return next_operation();
        }
        auto change = std::make_shared<Change>();
        change->next = inventory_;
        change->next.outside.push_back(stored->cartridge.barcode);
        change->next.take(element);
        change->relocations = {{element, 0}};
        change->ended = [this, element, type, done](const std::optional<Sense>& sense) {
            if (sense) return done(std::unexpected(fmt::format("element {}: {}", element, text_of(*sense))));
            server_.attentions().establish_for_others(nullptr, type == ElementType::kImportExport
                                                                   ? SenseCode::kImportOrExportElementAccessed
                                                                   : SenseCode::kNotReadyToReadyChange);
            done({});
        };
        empty_drives(change);
    });
}

} // namespace touka::scsi
