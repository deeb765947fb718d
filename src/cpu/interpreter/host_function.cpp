#include "cpu/interpreter/host_function.hpp"

#include <xbyak/xbyak.h>

#include <cstddef>

#include "cpu/interpreter/register_file.hpp"

namespace touka::cpu::interpreter {
namespace {

/// MXCSR as the ABI has it: round to nearest, everything masked.
constexpr std::uint32_t kHostMxcsr = 0x1F80;

class HostFunction : public Xbyak::CodeGenerator {
public:
    explicit HostFunction(const HostEncoding& encoding) : e_(encoding) {
        load();
        for (const auto code_byte : e_.code()) db(code_byte);
        store();
        ret();
    }

private:
    static constexpr std::size_t kVectorBytes = 32;

    [[nodiscard]] Xbyak::Address general_slot(unsigned guest) const {
        return qword[rdi + (offsetof(RegisterFile, gpr) + guest * sizeof(std::uint64_t))];
    }
    [[nodiscard]] Xbyak::RegExp vector_slot(int n) const {
        return rdi +
               static_cast<std::size_t>(offsetof(RegisterFile, vector) + static_cast<std::size_t>(n) * kVectorBytes);
    }
    [[nodiscard]] Xbyak::Address mxcsr_slot() const {
        return dword[rdi + static_cast<int>(offsetof(RegisterFile, mxcsr))];
    }
    [[nodiscard]] Xbyak::Address status_slot() const {
        return word[rdi + static_cast<int>(offsetof(RegisterFile, status))];
    }

    void load() {
        if (e_.under_mxcsr) ldmxcsr(mxcsr_slot());
        for (int n = 0; n < 16; ++n) {
            if ((e_.vectors_used >> n & 1) == 0) continue;
            if (e_.whole_vectors) {
                vmovdqu(Xbyak::Ymm(n), ptr[vector_slot(n)]);
            } else {
                movups(Xbyak::Xmm(n), ptr[vector_slot(n)]);
            }
        }
        if (e_.loads_flags) {
            movzx(eax, status_slot());
            add(al, 0x7F); // OF is bit 0 of the packed form: 1 + 7Fh overflows
            sahf();
        }
        for (const auto& binding : e_.general_registers()) {
            const Xbyak::Reg64 host(binding.host);
            if (binding.high_byte) {
                movzx(host.cvt32(), byte[rdi + (offsetof(RegisterFile, gpr) + std::size_t{binding.guest} * 8 + 1)]);
            } else {
                mov(host, general_slot(binding.guest));
            }
        }
    }

    void store() {
        // Last first: of MULX's two results the one named by ModRM.reg wins when both are the same register.
        const auto bindings = e_.general_registers();
        for (auto binding = bindings.rbegin(); binding != bindings.rend(); ++binding) {
            if (binding->written) mov(general_slot(binding->guest), Xbyak::Reg64(binding->host));
        }
        if (e_.stores_flags) {
            lahf();
            seto(al);
            mov(status_slot(), ax);
        }
        for (int n = 0; n < 16; ++n) {
            if ((e_.vectors_written >> n & 1) == 0) continue;
            if (e_.whole_vectors) {
                vmovdqu(ptr[vector_slot(n)], Xbyak::Ymm(n));
            } else {
                movups(ptr[vector_slot(n)], Xbyak::Xmm(n));
            }
        }
        if (e_.under_mxcsr) {
            stmxcsr(mxcsr_slot());
            mov(dword[rsp - 8], kHostMxcsr);
            ldmxcsr(dword[rsp - 8]);
        }
        if (e_.whole_vectors && e_.vectors_used != 0) vzeroupper();
    }

    const HostEncoding& e_;
};

} // namespace

std::vector<std::uint8_t> assemble_host_function(const HostEncoding& encoding) {
    const HostFunction function(encoding);
    return {function.getCode(), function.getCode() + function.getSize()};
}

} // namespace touka::cpu::interpreter
