// The host code that moves the guest's vector registers between the host's and the processor, for thunks.
#pragma once

#include <xbyak/xbyak.h>

#include <cstddef>

#include "cpu/interpreter/host_avx512.hpp"
#include "cpu/translator/thunks.hpp"

namespace touka::cpu::translator {

/// What AVX-512 adds moves only where it is loaded, and is loaded when code needs it, or as soon as an upper half is in
/// use, which VEX-encoded code clears (decisions/010). `shift` is the distance from RSP to the frame.
class VectorCode {
public:
    /// Within a thunk that was called, the frame lies behind the return address.
    static constexpr std::size_t kCalled = 8;

    VectorCode(Xbyak::CodeGenerator& code, const FrameOffsets& offsets) : c_(code), o_(offsets) {}

    /// All that the host's vector registers have of the guest's comes home. Clobbers RAX, RCX and EFLAGS.
    void save(std::size_t shift) {
        for (std::size_t n = 0; n < kVectors; ++n)
            c_.vmovdqu(c_.ptr[vector(shift, n)], Xbyak::Ymm(static_cast<int>(n)));
        c_.stmxcsr(c_.ptr[c_.rsp + shift + o_.mxcsr]);
        if (!has_avx512_) return;
        Xbyak::Label done;
        c_.cmp(c_.dword[c_.rsp + shift + o_.avx512_loaded], 0);
        c_.je(done, Xbyak::CodeGenerator::T_NEAR);
        save_avx512(shift);
        c_.L(done);
    }
    /// Loads those of AVX-512 as well where they were loaded before, or upper halves are in use.
    void restore(std::size_t shift) {
        for (std::size_t n = 0; n < kVectors; ++n)
            c_.vmovdqu(Xbyak::Ymm(static_cast<int>(n)), c_.ptr[vector(shift, n)]);
        c_.ldmxcsr(c_.ptr[c_.rsp + shift + o_.mxcsr]);
        if (!has_avx512_) return;
        Xbyak::Label load, done;
        c_.cmp(c_.byte[c_.rsp + shift + o_.hi256_in_use], 0);
        c_.jne(load, Xbyak::CodeGenerator::T_NEAR);
        c_.cmp(c_.dword[c_.rsp + shift + o_.avx512_loaded], 0);
        c_.je(done, Xbyak::CodeGenerator::T_NEAR);
        c_.L(load);
        restore_avx512(shift);
        c_.L(done);
    }
    /// @pre lower halves are loaded; and nothing else was since, unless no upper half is in use.
    void restore_avx512(std::size_t shift) {
        if (!has_avx512_) return;
        for (std::size_t n = 0; n < kVectors; ++n) c_.vmovdqa64(high_zmm(n), c_.ptr[hi16(shift, n)]);
        for (std::size_t n = 0; n < kOpmasks; ++n)
            c_.kmovq(Xbyak::Opmask(static_cast<int>(n)), c_.ptr[c_.rsp + shift + o_.opmask + n * kOpmaskBytes]);
        c_.mov(c_.dword[c_.rsp + shift + o_.avx512_loaded], 1);
        Xbyak::Label done;
        c_.cmp(c_.byte[c_.rsp + shift + o_.hi256_in_use], 0);
        c_.je(done, Xbyak::CodeGenerator::T_NEAR);
        for (std::size_t n = 0; n < kVectors; ++n) c_.vinserti64x4(low_zmm(n), low_zmm(n), c_.ptr[hi256(shift, n)], 1);
        c_.L(done);
    }
    /// Within a called thunk. Clobbers EAX. ZF clear. What may not be used stays off, although it is loaded.
    void note_loaded() {
        c_.mov(c_.dword[c_.rsp + kCalled + o_.sse_off], 0);
        c_.mov(c_.eax, c_.dword[c_.rsp + kCalled + o_.avx512_loaded]);
        c_.and_(c_.eax, c_.dword[c_.rsp + kCalled + o_.avx512_allowed]);
        c_.xor_(c_.eax, 1);
        c_.mov(c_.dword[c_.rsp + kCalled + o_.avx512_off], c_.eax);
        c_.mov(c_.eax, c_.dword[c_.rsp + kCalled + o_.avx_allowed]);
        c_.xor_(c_.eax, 1);
        c_.mov(c_.dword[c_.rsp + kCalled + o_.avx_off], c_.eax);
        c_.or_(c_.eax, 1); // ZF clear
    }
    void note_gone() {
        c_.mov(c_.dword[c_.rsp + o_.sse_off], 1);
        c_.mov(c_.dword[c_.rsp + o_.avx_off], 1);
        c_.mov(c_.dword[c_.rsp + o_.avx512_off], 1);
        c_.mov(c_.dword[c_.rsp + o_.avx512_loaded], 0);
    }

private:
    static constexpr std::size_t kVectors = 16, kVectorBytes = 32, kZmmBytes = 64, kOpmasks = 8, kOpmaskBytes = 8;

    /// Upper halves of what is no more than YMM registers need not be stored: a few ORs tell.
    void save_avx512(std::size_t shift) {
        for (std::size_t n = 0; n < kVectors; ++n) c_.vmovdqa64(c_.ptr[hi16(shift, n)], high_zmm(n));
        for (std::size_t n = 0; n < kOpmasks; ++n)
            c_.kmovq(c_.ptr[c_.rsp + shift + o_.opmask + n * kOpmaskBytes], Xbyak::Opmask(static_cast<int>(n)));
        for (std::size_t n = 0; n < kVectors / 2; ++n) c_.vporq(high_zmm(n), low_zmm(2 * n), low_zmm(2 * n + 1));
        for (std::size_t half = kVectors / 4; half > 0; half /= 2)
            for (std::size_t n = 0; n < half; ++n) c_.vporq(high_zmm(n), high_zmm(n), high_zmm(n + half));
        c_.vextracti64x4(c_.ymm16, c_.zmm16, 1);
        c_.vptestmq(c_.k1, c_.ymm16, c_.ymm16);
        c_.kortestb(c_.k1, c_.k1);
        c_.setnz(c_.al);
        c_.movzx(c_.ecx, c_.byte[c_.rsp + shift + o_.hi256_in_use]);
        c_.mov(c_.byte[c_.rsp + shift + o_.hi256_in_use], c_.al);
        Xbyak::Label done;
        c_.or_(c_.cl, c_.al); // what is home may have to become zero
        c_.jz(done, Xbyak::CodeGenerator::T_NEAR);
        for (std::size_t n = 0; n < kVectors; ++n) c_.vextracti64x4(c_.ptr[hi256(shift, n)], low_zmm(n), 1);
        c_.L(done);
    }
    [[nodiscard]] static Xbyak::Zmm low_zmm(std::size_t n) { return Xbyak::Zmm(static_cast<int>(n)); }
    [[nodiscard]] static Xbyak::Zmm high_zmm(std::size_t n) { return Xbyak::Zmm(static_cast<int>(n + kVectors)); }
    [[nodiscard]] Xbyak::RegExp vector(std::size_t shift, std::size_t n) const {
        return c_.rsp + shift + o_.vectors + n * kVectorBytes;
    }
    [[nodiscard]] Xbyak::RegExp hi256(std::size_t shift, std::size_t n) const {
        return c_.rsp + shift + o_.zmm_hi256 + n * kVectorBytes;
    }
    [[nodiscard]] Xbyak::RegExp hi16(std::size_t shift, std::size_t n) const {
        return c_.rsp + shift + o_.hi16_zmm + n * kZmmBytes;
    }

    Xbyak::CodeGenerator& c_;
    const FrameOffsets& o_;
    const bool has_avx512_ = interpreter::host_has_avx512();
};

} // namespace touka::cpu::translator
