// A device server with reservations and a few commands of each class, for tests.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "scsi/reservation/reservation_commands.hpp"
#include "scsi/reservation/transport_id.hpp"
#include "scsi/test_task.hpp"
#include "spec/scsi/byte_order.hpp"
#include "spec/scsi/operation.hpp"

namespace touka::scsi {

/// Remembers what was saved, and fails when told to.
class MemoryJournal final : public ReservationJournal {
public:
    std::expected<void, StoreError> save(const PersistentReservationsState& state) override {
        ++saves;
        if (fails) return std::unexpected(StoreError{StoreError::Kind::kNotWritten, "told to fail"});
        saved = state.persists ? state : PersistentReservationsState{};
        return {};
    }
    PersistentReservationsState saved;
    int saves = 0;
    bool fails = false;
};

inline InitiatorPort iscsi_port(const std::string& name) {
    return {spec::scsi::ProtocolIdentifier::kIscsi, "iqn.2026-01.test:" + name + ",i,0x000000000001"};
}

/// A parameter list of all service actions but REGISTER AND MOVE.
inline std::vector<std::uint8_t> basic_list(ReservationKey key, ReservationKey action_key, std::uint8_t flags = 0) {
    std::vector<std::uint8_t> list(24);
    spec::scsi::store_number(std::span(list).first(8), key);
    spec::scsi::store_number(std::span(list).subspan(8, 8), action_key);
    list[20] = flags;
    return list;
}

/// With SPEC_I_PT and these TransportIDs.
inline std::vector<std::uint8_t> list_with_ports(ReservationKey action_key, const std::vector<InitiatorPort>& ports,
                                                 std::uint8_t flags = 0x08) {
    auto list = basic_list(0, action_key, flags);
    list.resize(28);
    for (const InitiatorPort& port : ports) {
        const auto id = encode_transport_id(port);
        list.insert(list.end(), id.begin(), id.end());
    }
    spec::scsi::store_number(std::span(list).subspan(24, 4), list.size() - 28);
    return list;
}

inline std::vector<std::uint8_t> move_list(ReservationKey key, ReservationKey action_key, const NexusName& destination,
                                           std::uint8_t flags = 0) {
    auto list = basic_list(key, action_key);
    list[20] = 0;
    list[17] = flags;
    spec::scsi::store_number(std::span(list).subspan(18, 2), destination.target_port);
    const auto id = encode_transport_id(destination.initiator);
    spec::scsi::store_number(std::span(list).subspan(20, 4), id.size());
    list.insert(list.end(), id.begin(), id.end());
    return list;
}

/// Initiators a, b and c through target port 1, and a2: a through port 2; their unit attentions are taken.
class ReservedUnit {
public:
    explicit ReservedUnit(ReservationConfiguration configuration) : commands(server, std::move(configuration)) {
        namespace operation = spec::scsi::operation;
        add(operation::kTestUnitReady, 6, always_allowed);
        add(operation::kInquiry, 6, always_allowed, true);
        add(operation::kPreventAllowMediumRemoval, 6, always_allowed);
        add(operation::kRead10, 10, reads_only);
        server.add({.usage = {operation::kWrite10, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                    .execute = [this](Task& task) { held.push_back(&task); }});
        for (Nexus* nexus : {&a, &b, &c, &a2}) {
            server.attach(*nexus);
            while (server.attentions().take(nexus->name)) {
            }
        }
    }

    TestTask& submit(Nexus& from, std::vector<std::uint8_t> cdb, std::vector<std::uint8_t> data = {},
                     std::uint64_t data_in_limit = 65536) {
        TestTask& task = tasks_.emplace_back(from, std::move(cdb), std::move(data), data_in_limit);
        task.tag = tasks_.size();
        server.submit(task);
        return task;
    }
    TestTask& reserve_out(Nexus& from, std::uint16_t action, std::vector<std::uint8_t> list, std::uint8_t type = 0) {
        std::vector<std::uint8_t> cdb{0x5F, static_cast<std::uint8_t>(action), type, 0, 0, 0, 0, 0, 0, 0};
        spec::scsi::store_number(std::span(cdb).subspan(5, 4), list.size());
        return submit(from, std::move(cdb), std::move(list));
    }
    TestTask& reserve_in(Nexus& from, std::uint8_t action, std::uint16_t allocation_length = 0xFFFF) {
        return submit(from, {0x5E, action, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(allocation_length >> 8),
                             static_cast<std::uint8_t>(allocation_length), 0});
    }
    /// A command of 6 or 10 bytes, all zero behind its code.
    Status run(Nexus& from, std::uint8_t code) { return submit(from, with_code(code)).status; }
    /// The unit attention that the nexus learns next, if there is one.
    std::optional<SenseCode> attention(Nexus& of) { return server.attentions().take(of.name); }
    /// Lets the writes that are under way end.
    void let_go() {
        for (auto* task : std::exchange(held, {})) server.good(*task);
    }

    Nexus a{.name = {iscsi_port("a"), 1}, .index = 0, .units = {}};
    Nexus b{.name = {iscsi_port("b"), 1}, .index = 1, .units = {}};
    Nexus c{.name = {iscsi_port("c"), 1}, .index = 2, .units = {}};
    Nexus a2{.name = {iscsi_port("a"), 2}, .index = 3, .units = {}};
    DeviceServer server;
    ReservationCommands commands;
    std::vector<Task*> held; ///< WRITE(10)s under way

private:
    static std::vector<std::uint8_t> with_code(std::uint8_t code) {
        std::vector<std::uint8_t> cdb(spec::scsi::cdb_length_of_group(code));
        cdb[0] = code;
        return cdb;
    }
    void add(std::uint8_t code, std::size_t length, ReservationClass (*reservation)(const Cdb&), bool despite = false) {
        std::vector<std::uint8_t> usage(length, 0xFF);
        usage[0] = code;
        server.add({.usage = std::move(usage),
                    .reservation = reservation,
                    .despite_unit_attention = despite,
                    .execute = [this](Task& task) { server.good(task); }});
    }
    std::deque<TestTask> tasks_;
};

} // namespace touka::scsi
