// An initiator that sends anything at any time: it must neither crash nor keep memory.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "scsi/iscsi/test_initiator.hpp"

namespace {

using namespace touka::scsi::iscsi;
using namespace touka::spec::iscsi;

/// Takes bytes of the input; zeros when there are no more.
struct Input {
    std::span<const std::uint8_t> bytes;
    std::uint8_t byte() {
        if (bytes.empty()) return 0;
        const std::uint8_t value = bytes.front();
        bytes = bytes.subspan(1);
        return value;
    }
    std::uint32_t number() { return static_cast<std::uint32_t>(byte() << 8 | byte()); }
};

/// One PDU with some of its fields from the input, the rest as they should be.
void send_pdu(TestInitiator& initiator, Input& input, std::uint32_t& transfer_tag) {
    const std::uint8_t form = input.byte();
    BasicHeader header(Opcode(input.byte() & 0x7F), input.byte());
    header.set(kInitiatorTaskTag, input.byte());
    header.set(kTargetTransferTag, (form & 1) != 0 ? kReservedTag : transfer_tag);
    if (header.opcode() == Opcode::kScsiCommand) header.set(kExpectedDataTransferLength, input.number());
    header.set(kCmdSn, initiator.cmd_sn);
    if (header.opcode() == Opcode::kDataOut) {
        header.set(kDataSn, input.byte()).set(kBufferOffset, input.number());
    } else {
        header.bytes[32] = (form & 2) != 0 ? 0x28 : 0x2A;
        header.bytes[37] = input.byte();
        header.bytes[40] = input.byte();
    }
    if ((form & 4) != 0) header.bytes[input.byte() % 48] = input.byte();
    std::vector<std::uint8_t> data((form & 8) != 0 ? input.number() % 5000 : 0);
    for (std::size_t i = 0; i < data.size() && i < 64 && !input.bytes.empty(); ++i) data[i] = input.byte();
    std::vector<std::uint8_t> ahs((form & 16) != 0 ? input.byte() % 80 * 4u : 0);
    for (std::uint8_t& byte : ahs) byte = input.byte();
    initiator.break_data_digest = (form & 32) != 0;
    initiator.send_bytes(initiator.encode(header, data, ahs), (form & 64) != 0 ? 7 : 1 << 20);
}

void take_answers(TestInitiator& initiator, std::uint32_t& transfer_tag) {
    while (const auto pdu = initiator.receive()) {
        if (pdu->opcode() == Opcode::kReadyToTransfer || pdu->opcode() == Opcode::kTextResponse) {
            transfer_tag = pdu->header.get32(kTargetTransferTag);
        }
        if (pdu->opcode() != Opcode::kLoginResponse) initiator.cmd_sn = pdu->header.get32(kExpCmdSn);
    }
    if (!initiator.header_digest_good || !initiator.data_digest_good) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input{{data, size}};
    const std::uint8_t options = input.byte();
    TestSetup setup({.queue_depth = 4, .connection_memory_bytes = 65'536, .login_timeout_s = 3}, 64);
    {
        TestInitiator initiator(setup.entity), other(setup.entity);
        if ((options & 1) == 0) {
            initiator.send_bytes(input.bytes, options >> 1 | 1u); // whatever it is
            initiator.pull();
            return 0;
        }
        std::vector<std::string> keys{"MaxBurstLength=1024", "MaxRecvDataSegmentLength=700"};
        keys.emplace_back((options & 2) != 0 ? "InitialR2T=No" : "MaxOutstandingR2T=2");
        if ((options & 4) != 0) keys.emplace_back("HeaderDigest=CRC32C");
        if ((options & 8) != 0) keys.emplace_back("DataDigest=CRC32C");
        if (initiator.login(keys) != 0) std::abort();
        setup.unit.hold = (options & 16) != 0;
        setup.unit.hold_aborted = (options & 32) != 0;
        std::uint32_t transfer_tag = 0;
        for (int i = 0; i < 200 && !input.bytes.empty() && !initiator.connection->over(); ++i) {
            switch (input.byte() & 15) {
                case 0: setup.unit.release(); break;
                case 1: setup.timers.advance(input.byte() * std::uint64_t{200'000'000}); break;
                case 2: static_cast<void>(other.login()); break;
                case 3: setup.entity.access_changed(); break;
                case 4: take_answers(initiator, transfer_tag); break;
                default: send_pdu(initiator, input, transfer_tag); break;
            }
        }
        take_answers(initiator, transfer_tag);
    }
    setup.unit.hold_aborted = false;
    setup.unit.release();
    setup.entity.collect();
    if (setup.entity.buffers().used_bytes() != 0 || setup.unit.nexuses != 0) std::abort();
    return 0;
}
