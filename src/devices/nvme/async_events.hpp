#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "spec/nvme/log_page.hpp"

namespace touka::devices::nvme {

/// Events that the host has to hear of, and those that it has heard of without having looked.
/// (NVM Express Base 2.0 §5.2)
class AsyncEvents {
public:
    struct Event {
        std::uint8_t type = 0, information = 0, log_page = 0;
        bool operator==(const Event&) const = default;
        void describe(auto& archive) { archive(type, information, log_page); }
    };
    /// Asynchronous Event Requests that may be outstanding: AERL + 1.
    static constexpr unsigned kRequestLimit = 4;

    /// The same event that already waits is one event.
    void add(spec::nvme::EventType type, std::uint8_t information, spec::nvme::LogId log_page) {
        const Event event{static_cast<std::uint8_t>(type), information, static_cast<std::uint8_t>(log_page)};
        if (std::ranges::find(waiting_, event) == waiting_.end()) waiting_.push_back(event);
    }
    /// The next one to be told: no more of its type until the host has read its log page.
    [[nodiscard]] std::optional<Event> take() {
        const auto found =
            std::ranges::find_if(waiting_, [this](const Event& event) { return (masked_ >> event.type & 1) == 0; });
        if (found == waiting_.end()) return std::nullopt;
        const Event event = *found;
        waiting_.erase(found);
        masked_ |= static_cast<std::uint8_t>(1u << event.type);
        return event;
    }
    void log_page_read(spec::nvme::LogId id) {
        using spec::nvme::EventType;
        const auto unmask = [this](EventType type) {
            masked_ &= static_cast<std::uint8_t>(~(1u << static_cast<unsigned>(type)));
        };
        switch (id) {
            case spec::nvme::LogId::kErrors: unmask(EventType::kError); break;
            case spec::nvme::LogId::kHealth: unmask(EventType::kHealth); break;
            case spec::nvme::LogId::kChangedNamespaces: unmask(EventType::kNotice); break;
            case spec::nvme::LogId::kReservations: unmask(EventType::kCommandSet); break;
            default: break;
        }
    }
    void describe(auto& archive) { archive(waiting_, masked_); }

private:
    std::vector<Event> waiting_; // bounded: there are not many different ones
    std::uint8_t masked_ = 0;    // by type
};

} // namespace touka::devices::nvme
