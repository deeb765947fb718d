// One iSCSI connection, which is also its session: from the first byte of the login to the last of the logout. It knows
// nothing of sockets. (RFC 7143 §4.2, §7, §11)
// Absent: error recovery levels above 0 (SNACK is rejected, tasks are not reassigned), several connections in a
// session.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scsi/iscsi/command_window.hpp"
#include "scsi/iscsi/iscsi_task.hpp"
#include "scsi/iscsi/login.hpp"
#include "scsi/iscsi/output_queue.hpp"
#include "scsi/iscsi/pdu_receiver.hpp"
#include "scsi/iscsi/session_info.hpp"

namespace touka::scsi::iscsi {

class NetworkEntity;

/// What carries a connection's bytes: a socket, or a test.
class Wire {
public:
    /// The connection has something to send, or is over, or takes input again. Called on the reactor, at any time,
    /// also from within calls of the wire to the connection.
    virtual void attention() = 0;
    /// Where the initiator has reached us, as SendTargets tells it: "address:port".
    [[nodiscard]] virtual std::string local_address() const = 0;
    [[nodiscard]] virtual std::string peer_address() const = 0;

protected:
    ~Wire() = default;
};

class Connection final : private PduSink {
public:
    /// Made by NetworkEntity::accept. @param wire valid until `wire_lost`.
    Connection(NetworkEntity& entity, Wire& wire, PortalId portal, std::uint64_t id);
    ~Connection() override;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // The wire's side.
    [[nodiscard]] bool wants_input() const;
    /// Where received bytes go. @pre wants_input.
    [[nodiscard]] std::array<iovec, 2> space() { return receiver_.space(); }
    /// That many bytes are there; handles every PDU that is complete, and hands what it submitted to the target.
    void received(std::size_t bytes);
    /// What to send next. @return how many of `pieces` are used; 0: nothing now.
    [[nodiscard]] std::size_t gather(std::span<iovec> pieces);
    void sent(std::size_t bytes) { output_.sent(bytes); }
    /// All is said: the wire should go.
    [[nodiscard]] bool over() const;
    /// The wire is gone; the session ends. The connection may be destroyed within NetworkEntity::collect.
    void wire_lost();

    // The network entity's side.
    [[nodiscard]] std::uint64_t id() const { return id_; }
    [[nodiscard]] bool logging_in() const { return state_ == State::kLogin || state_ == State::kWaiting; }
    [[nodiscard]] bool waiting() const { return state_ == State::kWaiting; }
    [[nodiscard]] bool gone() const { return wire_ == nullptr && nexus_ == nullptr; }
    /// Has a nexus, perhaps one that is being closed.
    [[nodiscard]] bool has_nexus() const { return nexus_ != nullptr; }
    [[nodiscard]] const SessionInfo& info() const { return info_; }
    [[nodiscard]] const TargetNodeRef& node() const { return node_; }
    /// No other session stands in the way of the login any more.
    void open_session();
    /// Goes on with what came while it waited.
    void resume() { after_input(receiver_.resume()); }
    /// Ends it at once.
    void drop();
    /// Asks the initiator to log out; whoever has not within the time given is dropped. (RFC 7143 §11.9.1)
    void request_logout(std::uint16_t seconds);
    /// Masking changed.
    void remap(std::vector<MappedUnit> units);
    /// The list of targets was replaced by one where this session's target is still in.
    void replace_node(TargetNodeRef node) { node_ = std::move(node); }
    /// Sense data that belong to no command. (RFC 7143 §11.9.1, event 0)
    void report_sense(Lun lun, const SenseData& sense);
    /// Looks at timeouts; about once a second.
    void tick(std::uint64_t now_ns);

    // The tasks' side.
    [[nodiscard]] bool take_buffer(IscsiTask& task, std::uint64_t bytes);
    void give_back_buffer(IscsiTask& task);
    void completed(IscsiTask& task);
    void give_up(IscsiTask& task);
    void release(IscsiTask& task);

private:
    enum class State : std::uint8_t {
        kLogin,
        kWaiting, ///< logged in but for an older session that still goes
        kFullFeature,
        kEnding, ///< sends what it has to and takes nothing any more
        kOver,
    };

    // PduSink
    [[nodiscard]] std::uint8_t* begin(const BasicHeader& header, std::span<const std::uint8_t> ahs) override;
    void end(const BasicHeader& header, bool intact) override;

    // login: connection_login.cpp
    void end_login(const BasicHeader& header);
    void send(LoginStep step);
    void start_full_feature_phase();

    // commands: connection_command.cpp
    [[nodiscard]] std::uint8_t* begin_command(const BasicHeader& header, std::span<const std::uint8_t> ahs);
    [[nodiscard]] std::uint8_t* begin_immediate_data(const BasicHeader& header, IscsiTask& task);
    void end_command(const BasicHeader& header, bool intact);
    void submit(IscsiTask& task);

    // Data-Out: connection_data_out.cpp
    [[nodiscard]] std::uint8_t* begin_data_out(const BasicHeader& header);
    [[nodiscard]] std::optional<SenseCode> data_out_fault(const BasicHeader& header, const IscsiTask& task) const;
    void end_data_out(const BasicHeader& header, bool intact);
    void proceed(IscsiTask& task);
    void send_r2t(IscsiTask& task);
    void refuse(IscsiTask& task, Status status);
    void fail(IscsiTask& task, SenseCode code);

    // responses: connection_response.cpp
    void fill_output();
    [[nodiscard]] bool emit(IscsiTask& task);
    void emit_status(IscsiTask& task);
    [[nodiscard]] BasicHeader status_header(const IscsiTask& task);
    void respond(IscsiTask& task);
    void leave(const IscsiTask& task);
    void number(BasicHeader& header, bool advance = true);
    void reply(BasicHeader header, std::vector<std::uint8_t> data = {});
    void reject(const BasicHeader& header, spec::iscsi::RejectReason reason);

    // everything else: connection_control.cpp, connection_task_management.cpp, connection_text.cpp
    void end_control(const BasicHeader& header);
    void end_nop_out(const BasicHeader& header);
    void end_logout(const BasicHeader& header);
    void end_task_management(const BasicHeader& header);
    void answer_task_management(std::uint32_t tag, spec::iscsi::TaskResponse response);
    [[nodiscard]] bool abandon_collecting(TaskManagementFunction function, Lun lun, std::uint32_t tag);
    void end_text(const BasicHeader& header);
    void take_text_key(const KeyValue& pair, std::string& answer);
    void send_targets(std::string_view which, std::string& answer);
    void send_text(const BasicHeader& request);
    void send_ping(std::uint64_t now_ns);
    void end_after_output();

    [[nodiscard]] bool accept_number(const BasicHeader& header);
    void after_input(StreamError error);
    void commit();
    void close_nexus();

    NetworkEntity& entity_;
    Wire* wire_;
    PortalId portal_;
    std::uint64_t id_;
    State state_ = State::kLogin;
    PduReceiver receiver_{*this};
    OutputQueue output_;
    std::optional<LoginPhase> login_;
    std::optional<LoginStep> last_login_step_; // while waiting
    SessionInfo info_;
    TargetNodeRef node_;
    Nexus* nexus_ = nullptr;
    bool nexus_closing_ = false;
    bool greeted_ = false;   // the first PDU has come
    bool submitted_ = false; // something, since the last commit

    std::uint32_t stat_sn_ = 0;
    CommandWindow window_;
    std::uint32_t immediate_tasks_ = 0;
    std::uint32_t next_transfer_tag_ = 0;
    TaskTable tasks_;
    IscsiTask* first_response_ = nullptr;
    IscsiTask* last_response_ = nullptr;
    bool flush_responses_ = false; // all of them are queued now, however many there are
    std::uint64_t memory_bytes_ = 0;

    // The PDU that is coming in.
    IscsiTask* incoming_ = nullptr;
    bool ignore_incoming_ = false;
    std::vector<std::uint8_t> control_data_;

    std::string request_text_; // of a Text Request that comes in several PDUs
    OutgoingText text_;
    std::uint32_t text_transfer_tag_ = spec::iscsi::kReservedTag;

    // Time.
    std::uint64_t since_ns_; // of this state
    bool heard_ = false;     // anything since the last tick
    std::uint64_t silent_since_ns_ = 0;
    std::optional<std::uint64_t> pinged_ns_, drop_at_ns_;
};

} // namespace touka::scsi::iscsi
