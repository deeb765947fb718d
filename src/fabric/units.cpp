#include "fabric/units.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace touka::fabric {

Units::Units(runtime::Reactor& reactor, std::string state_folder, std::vector<scsi::TargetPort> ports,
             std::function<void(std::string)> notice)
    : context_{.reactor = reactor,
               .state_folder = std::move(state_folder),
               .ports = std::move(ports),
               .find_drive =
                   [this](const std::string& name) {
                       const NamedUnit* const found = named(name);
                       return found != nullptr ? found->unit->tape() : nullptr;
                   },
               .copies = this,
               .notice = std::move(notice)} {}

Units::~Units() {
    while (!units_.empty()) units_.pop_back();
}

const Units::NamedUnit* Units::named(const std::string& name) const {
    const auto found =
        std::ranges::find_if(units_, [&](const NamedUnit& unit) { return unit.config.name == name && !unit.closing; });
    return found == units_.end() ? nullptr : &*found;
}

std::expected<void, std::string> Units::open(const UnitConfig& config) {
    auto unit = std::visit([&](const auto& kind) { return open_unit(config, kind, context_); }, config.kind);
    if (!unit) return std::unexpected(unit.error());
    (*unit)->server().limit_aborts(context_.reactor);
    units_.push_back({config, std::move(*unit)});
    return {};
}

bool Units::idle(const std::string& name) const {
    const bool used = std::ranges::any_of(units_, [&](const NamedUnit& unit) {
        const auto* changer = std::get_if<ChangerUnitConfig>(&unit.config.kind);
        return changer != nullptr && std::ranges::find(changer->drives, name) != changer->drives.end();
    });
    return !used && named(name)->unit->server().idle();
}

void Units::close(const std::string& name, std::function<void()> done) {
    const auto found =
        std::ranges::find_if(units_, [&](const NamedUnit& unit) { return unit.config.name == name && !unit.closing; });
    found->closing = true;
    found->unit->stop([this, unit = found->unit.get(), done = std::move(done)] {
        // Not within a call of the unit itself.
        context_.reactor.post([this, unit, done] {
            std::erase_if(units_, [&](const NamedUnit& closed) { return closed.unit.get() == unit; });
            done();
        });
    });
}

void Units::stop(const std::function<void()>& done) {
    // Shared: each unit's callback holds a part; the last one calls `done`.
    const std::shared_ptr<void> last(nullptr, [done](void*) { done(); });
    for (const NamedUnit& unit : units_) unit.unit->stop([last] {});
}

std::vector<std::string> Units::stuck() const {
    std::vector<std::string> names;
    for (const NamedUnit& unit : units_) {
        if (unit.unit->stuck()) names.push_back(unit.config.name);
    }
    return names;
}

scsi::LogicalUnit* Units::find(const std::string& name) const {
    const NamedUnit* const found = named(name);
    return found != nullptr ? &found->unit->server() : nullptr;
}

std::optional<scsi::CopyEndpoint> Units::find(std::uint64_t naa) const {
    for (const NamedUnit& open : units_) {
        scsi::DiskUnit* const disk = open.closing ? nullptr : open.unit->disk();
        if (disk != nullptr && disk->inquiry().identity().naa == naa) {
            return scsi::CopyEndpoint{.unit = &disk->server(), .core = &disk->core()};
        }
    }
    return std::nullopt;
}

const UnitConfig* Units::config(const std::string& name) const {
    const NamedUnit* const found = named(name);
    return found != nullptr ? &found->config : nullptr;
}

std::vector<std::string> Units::names() const {
    std::vector<std::string> names;
    for (const NamedUnit& unit : units_) {
        if (!unit.closing) names.push_back(unit.config.name);
    }
    return names;
}

const scsi::DeviceServerCounters& Units::counters(const std::string& name) const {
    return named(name)->unit->server().counters();
}

} // namespace touka::fabric
