// An initiator for tests that speaks PDUs to a connection directly, without a socket.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/manual_timers.hpp"
#include "scsi/iscsi/network_entity.hpp"
#include "scsi/iscsi/ram_unit.hpp"

namespace touka::scsi::iscsi {

/// A policy that lets everyone in who is not on its list, or with what is told there.
class TestPolicy final : public AccessPolicy {
public:
    std::optional<Authentication> authentication(std::string_view initiator, std::string_view) override {
        if (initiator == forbidden) return std::nullopt;
        return required;
    }
    std::vector<MappedUnit> units(std::string_view, std::string_view) override { return mapped; }

    std::string forbidden;
    Authentication required;
    std::vector<MappedUnit> mapped;
};

struct TestPdu {
    BasicHeader header;
    std::vector<std::uint8_t> data;
    [[nodiscard]] Opcode opcode() const { return header.opcode(); }
    [[nodiscard]] std::string text() const { return {data.begin(), data.end()}; }
    /// The value of a key; "-" without one.
    [[nodiscard]] std::string key(std::string_view name) const {
        const std::string all = text();
        const auto pairs = parse_text(all);
        if (pairs) {
            for (const KeyValue& pair : *pairs) {
                if (pair.key == name) return std::string(pair.value);
            }
        }
        return "-";
    }
    [[nodiscard]] std::uint16_t login_status() const {
        return static_cast<std::uint16_t>(header.bytes[36] << 8 | header.bytes[37]);
    }
};

class TestInitiator final : public Wire {
public:
    TestInitiator(NetworkEntity& entity, PortalId portal = 0) : connection(entity.accept(*this, portal)) {}
    ~TestInitiator() { disconnect(); }
    TestInitiator(const TestInitiator&) = delete;
    TestInitiator& operator=(const TestInitiator&) = delete;

    void attention() override {}
    std::string local_address() const override { return "192.0.2.1:3260"; }
    std::string peer_address() const override { return "192.0.2.2:50000"; }

    void disconnect() {
        if (connection != nullptr) connection->wire_lost();
        connection = nullptr;
    }

    /// Sends bytes in pieces of `piece` bytes, as long as they are taken.
    void send_bytes(std::span<const std::uint8_t> bytes, std::size_t piece = 1 << 20) {
        while (!bytes.empty() && connection->wants_input()) {
            std::size_t sent = 0;
            for (const iovec& space : connection->space()) {
                const std::size_t length = std::min({space.iov_len, bytes.size(), piece - sent});
                if (length > 0) std::memcpy(space.iov_base, bytes.data(), length);
                bytes = bytes.subspan(length);
                sent += length;
            }
            connection->received(sent);
        }
    }
    [[nodiscard]] std::vector<std::uint8_t> encode(BasicHeader header, std::span<const std::uint8_t> data,
                                                   std::span<const std::uint8_t> ahs = {}) const {
        header.set(spec::iscsi::kDataSegmentLength, data.size());
        header.bytes[4] = static_cast<std::uint8_t>(ahs.size() / 4);
        std::vector<std::uint8_t> bytes(header.bytes.begin(), header.bytes.end());
        bytes.insert(bytes.end(), ahs.begin(), ahs.end());
        const auto add_digest = [&](std::uint32_t digest) {
            bytes.resize(bytes.size() + 4);
            store_digest(std::span(bytes).last<4>(), digest);
        };
        if (header_digest) add_digest(crc32c(bytes));
        if (data.empty()) return bytes;
        const std::size_t start = bytes.size();
        bytes.insert(bytes.end(), data.begin(), data.end());
        bytes.resize(bytes.size() + padding_bytes(data.size()));
        if (data_digest) add_digest(crc32c(std::span(bytes).subspan(start)) ^ (break_data_digest ? 1u : 0u));
        return bytes;
    }
    void send(const BasicHeader& header, std::span<const std::uint8_t> data = {},
              std::span<const std::uint8_t> ahs = {}) {
        send_bytes(encode(header, data, ahs));
    }
    void send_text(const BasicHeader& header, std::string_view text) {
        send(header, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    }

    /// The next PDU of the target, if it has sent one.
    [[nodiscard]] std::optional<TestPdu> receive() {
        pull();
        std::size_t need = 48;
        if (input.size() < need) return std::nullopt;
        TestPdu pdu;
        std::copy_n(input.begin(), 48, pdu.header.bytes.begin());
        if (header_digest) {
            header_digest_good &= load_digest(std::span(input).subspan(48).first<4>()) == crc32c(pdu.header.bytes);
            need += 4;
        }
        const std::size_t length = pdu.header.data_bytes();
        pdu.data.assign(input.begin() + static_cast<std::ptrdiff_t>(need),
                        input.begin() + static_cast<std::ptrdiff_t>(need + length));
        const std::size_t padded = length + padding_bytes(length);
        if (data_digest && length > 0) {
            const auto data = std::span(input).subspan(need);
            data_digest_good &= load_digest(data.subspan(padded).first<4>()) == crc32c(data.first(padded));
            need += 4;
        }
        input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(need + padded));
        return pdu;
    }
    void pull() {
        std::array<iovec, 16> pieces;
        while (connection != nullptr) {
            const std::size_t count = connection->gather(pieces);
            if (count == 0) return;
            std::size_t bytes = 0;
            for (const iovec& piece : std::span(pieces).first(count)) {
                const auto* const first = static_cast<const std::uint8_t*>(piece.iov_base);
                input.insert(input.end(), first, first + piece.iov_len);
                bytes += piece.iov_len;
            }
            connection->sent(bytes);
        }
    }

    [[nodiscard]] BasicHeader login_request(std::uint8_t flags) const {
        BasicHeader header(Opcode::kLoginRequest, flags);
        header.bytes[0] |= spec::iscsi::kImmediate;
        header.set(spec::iscsi::kIsid, isid).set(spec::iscsi::kCid, 1).set(spec::iscsi::kCmdSn, cmd_sn);
        return header;
    }
    /// One Login Request and its response. @param pairs "a=b" each.
    std::optional<TestPdu> login_step(std::uint8_t flags, const std::vector<std::string>& pairs) {
        std::string text;
        for (const std::string& pair : pairs) text += pair + '\0';
        send_text(login_request(flags), text);
        return receive();
    }
    /// From the operational stage to the full feature phase. @return the status.
    std::uint16_t login(std::vector<std::string> pairs = {}) {
        pairs.insert(pairs.begin(), {"InitiatorName=" + name, "TargetName=" + target_name});
        const auto response = login_step(0x87, pairs);
        if (!response) return 0xFFFF;
        const bool header_crc = response->key("HeaderDigest") == "CRC32C";
        data_digest = response->key("DataDigest") == "CRC32C";
        header_digest = header_crc;
        return response->login_status();
    }

    [[nodiscard]] BasicHeader request(Opcode opcode, std::uint8_t flags = 0x80) {
        BasicHeader header(opcode, flags);
        header.set(spec::iscsi::kInitiatorTaskTag, ++tag).set(spec::iscsi::kCmdSn, cmd_sn++);
        header.set(spec::iscsi::kTargetTransferTag, spec::iscsi::kReservedTag);
        return header;
    }
    [[nodiscard]] BasicHeader immediate_request(Opcode opcode, std::uint8_t flags = 0x80) {
        BasicHeader header = request(opcode, flags);
        header.bytes[0] |= spec::iscsi::kImmediate;
        --cmd_sn;
        return header;
    }
    /// READ(10) or WRITE(10) of LUN 0.
    [[nodiscard]] BasicHeader command(std::uint8_t operation_code, std::uint32_t lba, std::uint32_t blocks,
                                      std::uint8_t flags, std::uint32_t expected_bytes) {
        BasicHeader header = request(Opcode::kScsiCommand, flags);
        header.set(spec::iscsi::kExpectedDataTransferLength, expected_bytes);
        header.bytes[32] = operation_code;
        header.set({34, 4}, lba).set({39, 2}, blocks);
        return header;
    }
    [[nodiscard]] BasicHeader read(std::uint32_t lba, std::uint32_t blocks) {
        return command(0x28, lba, blocks, 0xC1, blocks * 512);
    }
    [[nodiscard]] BasicHeader write(std::uint32_t lba, std::uint32_t blocks, std::uint8_t flags = 0xA1) {
        return command(0x2A, lba, blocks, flags, blocks * 512);
    }
    [[nodiscard]] static BasicHeader data_out(std::uint32_t task_tag, std::uint32_t transfer_tag, std::uint32_t data_sn,
                                              std::uint32_t offset, bool final) {
        BasicHeader header(Opcode::kDataOut, final ? 0x80 : 0);
        header.set(spec::iscsi::kInitiatorTaskTag, task_tag).set(spec::iscsi::kTargetTransferTag, transfer_tag);
        header.set(spec::iscsi::kDataSn, data_sn).set(spec::iscsi::kBufferOffset, offset);
        return header;
    }

    Connection* connection;
    std::string name = "iqn.2026-01.test:initiator";
    std::string target_name = "iqn.2026-01.test:target";
    std::uint64_t isid = 0x4000'0000'0001;
    std::uint32_t cmd_sn = 100;
    std::uint32_t tag = 0;
    bool header_digest = false, data_digest = false, break_data_digest = false;
    bool header_digest_good = true, data_digest_good = true;
    std::vector<std::uint8_t> input;
};

/// A target with one unit, behind portals 0 and 1.
struct TestSetup {
    explicit TestSetup(EntityOptions options = {}, std::size_t blocks = 2048)
        : unit(blocks), entity(timers, policy, options) {
        policy.mapped = {{Lun::from_number(0), &unit}};
        entity.set_portal_address(0, "0.0.0.0:3260");
        entity.set_portal_address(1, "198.51.100.1:3261");
        list();
    }
    ~TestSetup() {
        unit.hold_aborted = false;
        unit.release();
    }
    void list() {
        entity.set_targets({{.name = "iqn.2026-01.test:target",
                             .target = &target,
                             .portals = {{.portal = 0, .group_tag = 1, .relative_port = 1},
                                         {.portal = 1, .group_tag = 2, .relative_port = 2}},
                             .alias = "disk"}});
    }
    RamUnit unit;
    Target target;
    TestPolicy policy;
    runtime::ManualTimers timers;
    NetworkEntity entity;
};

[[nodiscard]] inline std::vector<std::uint8_t> pattern(std::size_t bytes, unsigned seed) {
    std::vector<std::uint8_t> data(bytes);
    std::uint32_t state = seed * 2654435761u + 1;
    for (std::uint8_t& byte : data) {
        state = state * 1664525 + 1013904223;
        byte = static_cast<std::uint8_t>(state >> 24);
    }
    return data;
}

} // namespace touka::scsi::iscsi
