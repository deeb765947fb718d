#include <gtest/gtest.h>

#include <algorithm>

#include "devices/nvme/test_fixture.hpp"
#include "memory/dma_holds.hpp"

namespace touka::devices::nvme::test {
namespace {

using memory::Iova;
using spec::nvme::IoOpcode;

/// RAM of which pages can be taken away, and who holds them is asked.
class TakingSpace final : public memory::DmaSpace {
public:
    explicit TakingSpace(memory::GuestMemory& ram) : ram_(ram) {}
    std::expected<std::span<std::byte>, memory::DmaFault> translate(Iova address, std::uint64_t length_bytes,
                                                                    memory::DmaAccess access) override {
        return ram_.translate(address, length_bytes, access);
    }
    void written(std::span<const std::byte> bytes) override { ram_.written(bytes); }
    void take(std::uint64_t address, std::function<void()> done) {
        revoked([this, address, done] {
            const auto holds = [address](const memory::DmaHold& hold) {
                return std::ranges::any_of(hold.ranges(), [address](const memory::DmaHold::Range& range) {
                    return address >= range.address.value && address < range.address.value + range.memory.size();
                });
            };
            holds_.when_over(holds, done);
        });
    }

private:
    void begin_hold(memory::DmaHold& hold) override { begin_hold_in(holds_, hold); }
    memory::IdentityDmaSpace ram_;
    memory::DmaHolds holds_;
};

class HeldMemory : public NvmeFixture {
protected:
    void SetUp() override {
        function_ = std::make_unique<NvmePciFunction>("nvme@00:03.0", subsystem_, configuration(),
                                                      NvmePciContext{machine_.reactor, space_, machine_.messages});
        driver_ = std::make_unique<TestDriver>(machine_, *function_);
        ASSERT_TRUE(driver_->bring_up(16));
    }
    /// @return whether that is over at once.
    bool take(std::uint64_t address) {
        space_.take(address, [this] { over_ = true; });
        return over_;
    }
    TakingSpace space_{*machine_.ram};
    std::atomic<bool> over_{false};
};

TEST_F(HeldMemory, ARequestThatLastsDelaysWhoTakesItsDataAway) {
    volume_.held = true;
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 8, data_)), TestDriver::kPending);
    EXPECT_FALSE(take(data_ + 100));
    complete_held();
    EXPECT_TRUE(over_);
}

TEST_F(HeldMemory, AndNobodyElse) {
    volume_.held = true;
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 8, data_)), TestDriver::kPending);
    EXPECT_TRUE(take(data_ + 4096));
    complete_held();
}

TEST_F(HeldMemory, ACommandThatIsOverHoldsNothing) {
    EXPECT_EQ(io(block_command(IoOpcode::kRead, 0, 16, data_)), Status::kSuccess);
    EXPECT_TRUE(take(data_));
}

TEST_F(HeldMemory, ACommandThatCouldNotBeMappedHoldsNothing) {
    auto command = block_command(IoOpcode::kRead, 0, 16, data_);
    command.prp2 = TestMachine::kRamBytes; // outside
    EXPECT_EQ(io(command), Status::kDataTransferError);
    EXPECT_TRUE(take(data_));
}

} // namespace
} // namespace touka::devices::nvme::test
