// Whatever the decoder lets through becomes an instruction that the host's processor knows.
#include <gtest/gtest.h>
#include <setjmp.h>
#include <signal.h>

#include <random>

#include "cpu/interpreter/native.hpp"
#include "cpu/interpreter/x87_state.hpp"

namespace touka::cpu::interpreter {
namespace {

sigjmp_buf back;

class RandomEncodings : public testing::Test {
protected:
    RandomEncodings() {
        struct sigaction action{};
        action.sa_handler = [](int) { siglongjmp(back, 1); };
        action.sa_flags = SA_NODEFER;
        ::sigaction(SIGILL, &action, &previous_);
        reset_x87(regs_);
    }
    ~RandomEncodings() override { ::sigaction(SIGILL, &previous_, nullptr); }

    /// @return whether the host runs what is made of the bytes; also when nothing is.
    bool runs(const std::array<std::uint8_t, 15>& bytes) {
        Instruction i{};
        i.bytes = bytes;
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder_, bytes.data(), bytes.size(), &i.info, i.operands.data())))
            return true;
        if (code_.is_filling()) code_.clear();
        const HostInstruction* host = code_.prepare(i);
        if (host == nullptr) return true;
        ++run_count_;
        if (sigsetjmp(back, 1) != 0) return false;
        if (host->kind == HostInstruction::Kind::kPlain || host->kind == HostInstruction::Kind::kSimdFloat)
            static_cast<void>(host->run(regs_, memory_.data()));
        return true;
    }
    /// An encoding with random fields behind its first byte.
    void expect_to_run(std::uint8_t first, std::mt19937_64& random) {
        std::array<std::uint8_t, 15> bytes{first};
        for (std::size_t n = 1; n < bytes.size(); ++n) bytes[n] = static_cast<std::uint8_t>(random());
        // Maps that there are.
        bytes[1] = static_cast<std::uint8_t>((bytes[1] & (first == kEvex ? 0xF0 : 0xE0)) | (1 + random() % 3));
        ASSERT_TRUE(runs(bytes)) << testing::PrintToString(bytes);
    }

    static constexpr std::uint8_t kVex = 0xC4, kEvex = 0x62;
    std::size_t run_count_ = 0;

private:
    ZydisDecoder decoder_ = [] {
        ZydisDecoder decoder{};
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        return decoder;
    }();
    struct sigaction previous_{};
    HostCode code_;
    RegisterFile regs_;
    alignas(64) std::array<std::byte, HostInstruction::kMaxMemoryBytes> memory_{};
};

TEST_F(RandomEncodings, AreRunOrDeclined) {
    constexpr unsigned kTries = 100'000;
    std::mt19937_64 random(20261125);
    for (unsigned n = 0; n < kTries && !HasFatalFailure(); ++n) expect_to_run(n % 4 == 0 ? kVex : kEvex, random);
    EXPECT_GT(run_count_, kTries / 100);
}

} // namespace
} // namespace touka::cpu::interpreter
