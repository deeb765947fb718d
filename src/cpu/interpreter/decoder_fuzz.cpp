// Guest bytes are decoded and executed in a tiny machine, in each mode: whatever they are, the host process lives and
// comes back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "cpu/interpreter/block_cache.hpp"
#include "cpu/interpreter/program_fixture.hpp"

namespace {

using namespace touka::cpu::interpreter;

constexpr std::uint64_t kBlockBudget = 64;
constexpr unsigned kDeviceBudget = 256;

/// Devices that make the processor stop after a number of accesses: a repeated instruction may ask for 2^32 of them.
class CountingBus final : public touka::cpu::CpuBus {
public:
    std::uint64_t read_memory(touka::spec::GuestAddress address, unsigned) override { return count(address.value); }
    void write_memory(touka::spec::GuestAddress address, unsigned, std::uint64_t) override {
        (void)count(address.value);
    }
    std::uint32_t read_port(std::uint16_t port, unsigned) override { return static_cast<std::uint32_t>(count(port)); }
    void write_port(std::uint16_t port, unsigned, std::uint32_t) override { (void)count(port); }

    Processor* processor = nullptr;

private:
    std::uint64_t count(std::uint64_t value) {
        if (++accesses_ >= kDeviceBudget) processor->requests.fetch_or(request::kKick);
        return value * 0x9E37'79B9'7F4A'7C15;
    }
    unsigned accesses_ = 0;
};

void fill_registers(Processor& p, std::span<const std::uint8_t> bytes) {
    std::size_t n = 0;
    for (std::uint64_t& value : p.regs.gpr) {
        // Small numbers are addresses in RAM; the top bits bring the others.
        const std::uint64_t byte = bytes.empty() ? 0 : bytes[n++ % bytes.size()];
        value = byte < 0xF0 ? byte << 12 : byte << 56 | byte;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2 || size > 512) return 0;
    CountingBus bus;
    const auto machine = std::make_unique<SmallMachine>(ProcessorModel::Vendor::kAmd, &bus);
    SmallMachine& m = *machine;
    bus.processor = &m.p;
    m.p.blocks = std::make_unique<BlockCache>(1 << 20);
    const std::uint8_t mode = data[0];
    if ((mode & 3) == 0) m.set_up_protected_mode((mode & 4) != 0);
    if ((mode & 3) == 1) m.set_up_long_mode((mode & 4) != 0);
    if ((mode & 3) >= 2) {
        // Real mode at kCode.
        m.p.segment(touka::cpu::SegmentName::kCs).base = SmallMachine::kCode;
        m.p.rip = 0;
    }
    const std::span<const std::uint8_t> code(data + 1, size - 1);
    fill_registers(m.p, code);
    if ((mode & 8) != 0) m.p.system_flags |= touka::spec::x86::rflags::TF;
    m.place(SmallMachine::kCode, code);
    (void)execute(m.p, kBlockBudget);
    return 0;
}
