#include "cpu/interpreter/host_function.hpp"

#include <xbyak/xbyak.h>

#include <cstddef>

#include "cpu/interpreter/host_avx512.hpp"
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
    static constexpr int kVectors = 32, kOpmasks = 8;
    static constexpr std::uint32_t kLowVectors = 0xFFFF; ///< those that have their upper halves apart
    static constexpr std::size_t kVectorBytes = 32, kZmmBytes = 64, kOpmaskBytes = 8;

    [[nodiscard]] Xbyak::Address general_slot(unsigned guest) const {
        return qword[rdi + (offsetof(RegisterFile, gpr) + guest * sizeof(std::uint64_t))];
    }
    [[nodiscard]] static Xbyak::RegExp slot(std::size_t registers, int n, std::size_t stride_bytes) {
        return Xbyak::util::rdi + (registers + static_cast<std::size_t>(n) * stride_bytes);
    }
    [[nodiscard]] static Xbyak::RegExp vector_slot(int n) {
        return slot(offsetof(RegisterFile, vector), n, kVectorBytes);
    }
    [[nodiscard]] static Xbyak::RegExp hi256_slot(int n) {
        return slot(offsetof(RegisterFile, zmm_hi256), n, kVectorBytes);
    }
    [[nodiscard]] static Xbyak::RegExp hi16_slot(int n) {
        return slot(offsetof(RegisterFile, hi16_zmm), n - kVectors / 2, kZmmBytes);
    }
    [[nodiscard]] static Xbyak::RegExp opmask_slot(int n) {
        return slot(offsetof(RegisterFile, opmask), n, kOpmaskBytes);
    }
    [[nodiscard]] Xbyak::Address mxcsr_slot() const {
        return dword[rdi + static_cast<int>(offsetof(RegisterFile, mxcsr))];
    }
    [[nodiscard]] Xbyak::Address status_slot() const {
        return word[rdi + static_cast<int>(offsetof(RegisterFile, status))];
    }

    void load_vector(int n) {
        if (n >= kVectors / 2) return vmovups(Xbyak::Zmm(n), ptr[hi16_slot(n)]);
        if (!e_.whole_vectors) return movups(Xbyak::Xmm(n), ptr[vector_slot(n)]);
        vmovdqu(Xbyak::Ymm(n), ptr[vector_slot(n)]);
        if (e_.is_evex) vinserti64x4(Xbyak::Zmm(n), Xbyak::Zmm(n), ptr[hi256_slot(n)], 1);
    }
    void store_vector(int n) {
        if (n >= kVectors / 2) return vmovups(ptr[hi16_slot(n)], Xbyak::Zmm(n));
        if (!e_.whole_vectors) return movups(ptr[vector_slot(n)], Xbyak::Xmm(n));
        vmovdqu(ptr[vector_slot(n)], Xbyak::Ymm(n));
        if (e_.is_evex) vextracti64x4(ptr[hi256_slot(n)], Xbyak::Zmm(n), 1);
    }
    /// VEX clears a register up to bit 511. @pre what was written is stored.
    void clear_hi256() {
        if (e_.vectors_written == 0) return;
        vpxor(xmm0, xmm0, xmm0);
        for (int n = 0; n < kVectors / 2; ++n)
            if ((e_.vectors_written >> n & 1) != 0) vmovdqu(ptr[hi256_slot(n)], ymm0);
    }

    void load() {
        if (e_.under_mxcsr) ldmxcsr(mxcsr_slot());
        for (int n = 0; n < kVectors; ++n)
            if ((e_.vectors_used >> n & 1) != 0) load_vector(n);
        for (int n = 0; n < kOpmasks; ++n)
            if ((e_.opmasks_used >> n & 1) != 0) kmovq(Xbyak::Opmask(n), ptr[opmask_slot(n)]);
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
        for (int n = 0; n < kVectors; ++n)
            if ((e_.vectors_written >> n & 1) != 0) store_vector(n);
        for (int n = 0; n < kOpmasks; ++n)
            if ((e_.opmasks_written >> n & 1) != 0) kmovq(ptr[opmask_slot(n)], Xbyak::Opmask(n));
        if (e_.is_512bit && (e_.vectors_written & kLowVectors) != 0)
            mov(byte[rdi + offsetof(RegisterFile, hi256_in_use)], 1);
        if (e_.whole_vectors && !e_.is_evex && host_has_avx512()) clear_hi256();
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
