#include "slot_control.hpp"

#include <algorithm>
#include <utility>

namespace touka::cli {

namespace {

constexpr std::uint64_t kPollInterval_ns = 100'000'000, kSecond_ns = 1'000'000'000;

} // namespace

struct SlotControl::Exchange {
    ControlQuestion what;
    runtime::ControlSocket::Reply reply; // the first one counts
    ~Exchange() { reply(control_failure("the machine ended, or was reset, before it could answer")); }
};

SlotControl::SlotControl() {
    timer_ = reactor_.make_timer([this] { poll(); });
}

std::expected<std::unique_ptr<SlotControl>, std::string> SlotControl::open(const std::string& path) {
    std::unique_ptr<SlotControl> control(new SlotControl);
    auto socket = runtime::ControlSocket::open_for_later(
        control->reactor_, path, [it = control.get()](const std::string& line, runtime::ControlSocket::Reply reply) {
            it->take(line, std::move(reply));
        });
    if (!socket) return std::unexpected(socket.error());
    control->socket_ = std::move(*socket);
    return control;
}

SlotControl::~SlotControl() {
    detach();
    reactor_.run_and_wait([this] { timer_.reset(); });
    socket_.reset();
}

void SlotControl::attach(Ask ask) {
    reactor_.run_and_wait([&] {
        ask_ = std::move(ask);
        ++machine_;
        for (const SharedExchange& exchange : std::exchange(early_, {})) put(exchange);
    });
}

void SlotControl::detach() {
    reactor_.run_and_wait([this] {
        ask_ = nullptr;
        removals_.clear();
    });
}

void SlotControl::take(const std::string& line, runtime::ControlSocket::Reply reply) {
    auto question = parse_control_question(line);
    if (!question) return reply(control_failure(question.error()));
    const auto exchange = std::make_shared<Exchange>(*std::move(question), std::move(reply));
    if (ask_) return put(exchange);
    early_.push_back(exchange);
}

void SlotControl::ask(const machine::SlotQuestion& question, std::function<void(const machine::SlotAnswer&)> done) {
    ask_(question, [this, from = machine_, done = std::move(done)](machine::SlotAnswer answer) {
        reactor_.post([this, from, done, answer = std::move(answer)] {
            if (ask_ && from == machine_) done(answer);
        });
    });
}

void SlotControl::put(const SharedExchange& exchange) {
    ask(exchange->what.question, [this, exchange](const machine::SlotAnswer& answer) { answered(exchange, answer); });
}

void SlotControl::answered(const SharedExchange& exchange, const machine::SlotAnswer& answer) {
    const auto& question = exchange->what.question;
    if (!answer.error.empty()) return exchange->reply(control_failure(answer.error));
    if (std::holds_alternative<machine::ListSlots>(question)) return exchange->reply(format_slots(answer));
    if (std::holds_alternative<machine::PlugCard>(question)) return exchange->reply(format_plugged(answer));
    const std::uint64_t insertion = answer.slots.at(answer.slot - 1u).insertion;
    const std::uint64_t deadline_ns = reactor_.now_ns() + exchange->what.wait_s * kSecond_ns;
    removals_.push_back({exchange, answer.slot, insertion, deadline_ns});
    look_at(answer);
}

void SlotControl::poll() {
    if (!ask_ || removals_.empty()) return;
    ask(machine::ListSlots{}, [this](const machine::SlotAnswer& answer) { look_at(answer); });
}

void SlotControl::look_at(const machine::SlotAnswer& answer) {
    const std::uint64_t now_ns = reactor_.now_ns();
    std::erase_if(removals_, [&](const Removal& removal) {
        const machine::SlotReport& slot = answer.slots.at(removal.slot - 1u);
        const bool out = slot.insertion != removal.insertion || slot.state == machine::SlotReport::State::kEmpty;
        if (!out && now_ns < removal.deadline_ns) return false;
        removal.exchange->reply(format_removal(removal.slot, out));
        return true;
    });
    if (!removals_.empty()) timer_->arm(now_ns + kPollInterval_ns);
}

} // namespace touka::cli
