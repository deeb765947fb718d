#include "scsi/iscsi/connection.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "scsi/iscsi/network_entity.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

namespace {

// An initiator that does not read is not listened to either.
constexpr std::size_t kInputPauseAtPdus = 512;
constexpr std::size_t kInputPauseAtOwnedBytes = 1 << 20;
constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::uint64_t kEndingLimitNs = 10 * kNanosecondsPerSecond;

} // namespace

Connection::Connection(NetworkEntity& entity, Wire& wire, PortalId portal, std::uint64_t id)
    : entity_(entity), wire_(&wire), portal_(portal), id_(id), window_(entity.options().queue_depth),
      since_ns_(entity.now_ns()) {
    login_.emplace(entity, portal, entity.options().limits);
    info_.peer_address = wire.peer_address();
}

Connection::~Connection() {
    assert(nexus_ == nullptr);
    wire_ = nullptr;
    drop(); // its memory goes back to the pools
}

bool Connection::wants_input() const {
    return (state_ == State::kLogin || state_ == State::kFullFeature) && output_.size() < kInputPauseAtPdus &&
           output_.owned_bytes() < kInputPauseAtOwnedBytes;
}

void Connection::received(std::size_t bytes) {
    heard_ = true;
    after_input(receiver_.received(bytes));
}

void Connection::after_input(StreamError error) {
    if (error == StreamError::kHeaderDigest) ++info_.counters.digest_errors;
    // Where the next PDU begins is not known any more. (RFC 7143 §7.7)
    if (error != StreamError::kNone) drop();
    commit();
}

void Connection::commit() {
    if (std::exchange(submitted_, false)) node_->target->commit();
}

std::uint8_t* Connection::begin(const BasicHeader& header, std::span<const std::uint8_t> ahs) {
    incoming_ = nullptr;
    ignore_incoming_ = false;
    if (state_ == State::kFullFeature) {
        if (header.opcode() == Opcode::kScsiCommand) return begin_command(header, ahs);
        if (header.opcode() == Opcode::kDataOut) return begin_data_out(header);
    }
    control_data_.resize(header.data_bytes());
    return control_data_.data();
}

void Connection::end(const BasicHeader& header, bool intact) {
    if (state_ == State::kLogin) return end_login(header);
    if (state_ != State::kFullFeature) return;
    if (!intact) ++info_.counters.digest_errors;
    switch (header.opcode()) {
        case Opcode::kScsiCommand: return end_command(header, intact);
        case Opcode::kDataOut: return end_data_out(header, intact);
        default: break;
    }
    if (intact) return end_control(header);
    // Its header is good: the initiator goes on with the next number. (RFC 7143 §7.8)
    if (accept_number(header)) reject(header, RejectReason::kDataDigestError);
}

/// @return whether the request is to be handled.
bool Connection::accept_number(const BasicHeader& header) {
    if (header.immediate()) return true;
    switch (window_.take(header.get32(kCmdSn))) {
        case CommandWindow::Verdict::kNext: return true;
        case CommandWindow::Verdict::kOutside: ++info_.counters.outside_window; return false; // without a word
        case CommandWindow::Verdict::kAhead:
            // There is one connection: what is missing cannot come after it.
            reject(header, RejectReason::kProtocolError);
            return false;
    }
    return false;
}

std::size_t Connection::gather(std::span<iovec> pieces) {
    fill_output();
    return output_.gather(pieces);
}

bool Connection::over() const {
    return state_ == State::kOver || (state_ == State::kEnding && output_.empty() && first_response_ == nullptr);
}

void Connection::wire_lost() {
    wire_ = nullptr;
    drop();
    entity_.ended(*this);
}

void Connection::drop() {
    if (state_ == State::kOver) return;
    state_ = State::kOver;
    receiver_.stop();
    incoming_ = nullptr;
    output_.clear();
    while (first_response_ != nullptr) {
        IscsiTask& task = *std::exchange(first_response_, first_response_->next);
        release(task);
    }
    last_response_ = nullptr;
    tasks_.for_each([&](IscsiTask& task) {
        if (task.with_unit) return;
        tasks_.remove(task);
        release(task);
    });
    if (wire_ != nullptr) wire_->attention();
    close_nexus();
}

void Connection::close_nexus() {
    if (nexus_ == nullptr || std::exchange(nexus_closing_, true)) return;
    submitted_ = false;
    node_->target->commit();               // what was submitted before it is not left lying about
    node_->target->close(*nexus_, [this] { // the connection stays until this has been called
        nexus_ = nullptr;
        entity_.ended(*this);
    });
}

void Connection::remap(std::vector<MappedUnit> units) {
    if (nexus_ != nullptr && !nexus_closing_) node_->target->remap(*nexus_, std::move(units));
}

bool Connection::take_buffer(IscsiTask& task, std::uint64_t bytes) {
    const std::size_t piece = BufferPool::piece_bytes(bytes);
    if (memory_bytes_ + piece <= entity_.options().connection_memory_bytes) {
        task.buffer = entity_.buffers().take(bytes);
        memory_bytes_ += task.buffer.size();
    }
    if (task.buffer.empty()) ++info_.counters.refused_for_memory;
    return !task.buffer.empty();
}

void Connection::give_back_buffer(IscsiTask& task) {
    memory_bytes_ -= task.buffer.size();
    entity_.buffers().give_back(std::exchange(task.buffer, {}));
}

void Connection::release(IscsiTask& task) {
    give_back_buffer(task);
    entity_.tasks().give_back(task);
}

void Connection::tick(std::uint64_t now_ns) {
    const EntityOptions& options = entity_.options();
    const auto passed = [&](std::uint64_t since_ns, std::uint64_t seconds) {
        return now_ns >= since_ns + seconds * kNanosecondsPerSecond;
    };
    if (drop_at_ns_ && now_ns >= *drop_at_ns_) return drop();
    if (logging_in()) {
        if (passed(since_ns_, options.login_timeout_s)) drop();
        return;
    }
    if (state_ == State::kEnding && now_ns >= since_ns_ + kEndingLimitNs) return drop();
    if (state_ != State::kFullFeature) return;
    if (std::exchange(heard_, false)) {
        silent_since_ns_ = now_ns;
        pinged_ns_.reset();
    } else if (pinged_ns_) {
        if (passed(*pinged_ns_, options.ping_timeout_s)) drop();
    } else if (passed(silent_since_ns_, options.ping_after_s)) {
        send_ping(now_ns);
    }
}

} // namespace touka::scsi::iscsi
