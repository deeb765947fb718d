// The control socket of `touka run`, of one machine after another.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "machine/slot_question.hpp"
#include "runtime/control_socket.hpp"
#include "runtime/reactor.hpp"
#include "slot_protocol.hpp"

namespace touka::cli {

/// Takes questions from the socket to the machine, and waits for what takes time: the guest's consent. Questions that
/// come between a machine and the next one wait for that. Calls from one thread; a reactor of its own does the rest.
class SlotControl {
public:
    /// Gives a question to the machine. @param done called at most once, on any thread; may be destroyed uncalled.
    using Ask = std::function<void(machine::SlotQuestion, std::function<void(machine::SlotAnswer)> done)>;

    [[nodiscard]] static std::expected<std::unique_ptr<SlotControl>, std::string> open(const std::string& path);
    ~SlotControl();
    SlotControl(const SlotControl&) = delete;
    SlotControl& operator=(const SlotControl&) = delete;

    /// There is a machine.
    void attach(Ask ask);
    /// When this returns, the machine is not asked any more.
    void detach();

    /// What a machine that was reset had in its slots, for the next one; nothing: there was none.
    void keep(std::vector<machine::CardConfig> cards) { cards_ = std::move(cards); }
    [[nodiscard]] const std::optional<std::vector<machine::CardConfig>>& kept() const { return cards_; }

private:
    /// One question and where its answer goes: says that there is none when it is dropped.
    struct Exchange;
    using SharedExchange = std::shared_ptr<Exchange>; // of the machine's queue and of whoever waits here
    struct Removal {
        SharedExchange exchange;
        std::uint16_t slot = 0;
        std::uint64_t insertion = 0;
        std::uint64_t deadline_ns = 0;
    };

    SlotControl();
    void take(const std::string& line, runtime::ControlSocket::Reply reply);
    void put(const SharedExchange& exchange);
    void ask(const machine::SlotQuestion& question, std::function<void(const machine::SlotAnswer&)> done);
    void answered(const SharedExchange& exchange, const machine::SlotAnswer& answer);
    void poll();
    void look_at(const machine::SlotAnswer& answer);

    std::optional<std::vector<machine::CardConfig>> cards_;
    runtime::Reactor reactor_{"control"};
    // On the reactor:
    Ask ask_;
    std::uint64_t machine_ = 0;         // which one: an earlier one's answers tell nothing of this one
    std::vector<SharedExchange> early_; // bounded by the socket's connections
    std::list<Removal> removals_;       // by these, too
    std::unique_ptr<runtime::Timer> timer_;
    std::unique_ptr<runtime::ControlSocket> socket_;
};

} // namespace touka::cli
