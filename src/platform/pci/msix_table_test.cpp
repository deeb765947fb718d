#include "platform/pci/msix_table.hpp"

#include <gtest/gtest.h>

#include <map>

#include "spec/pci/capability.hpp"

namespace touka::platform {
namespace {

class Recorder final : public MsiSink {
public:
    void send(const MsiMessage& message) override { messages.push_back(message); }
    std::vector<MsiMessage> messages;
};

constexpr MsiMessage kMessage{0x1'FEE0'1000, 0x41};

class Msix : public testing::Test {
protected:
    void program(std::uint64_t vector) {
        table_.write(16 * vector, 8, kMessage.address);
        table_.write(16 * vector + 8, 8, kMessage.data); // and unmasked
    }
    [[nodiscard]] std::uint64_t pending() { return table_.read(table_.pba_offset(), 8); }

    Recorder recorder_;
    MsixTable table_{5, recorder_};
};

TEST_F(Msix, SendsTheMessageOfAnUnmaskedVector) {
    table_.set_control(true, false, true);
    program(3);
    table_.raise(3);
    EXPECT_EQ(recorder_.messages, std::vector{kMessage});
    EXPECT_EQ(pending(), 0u);
}

TEST_F(Msix, EveryVectorIsMaskedAfterReset) {
    table_.set_control(true, false, true);
    for (unsigned i = 0; i < 5; ++i) EXPECT_EQ(table_.read(16 * i + 12, 4), 1u);
    table_.raise(0);
    EXPECT_TRUE(recorder_.messages.empty());
    EXPECT_EQ(pending(), 1u);
}

TEST_F(Msix, RemembersAMaskedVectorAndSendsItOnceWhenUnmasked) {
    table_.set_control(true, false, true);
    program(4);
    table_.write(16 * 4 + 12, 4, 1);
    table_.raise(4);
    table_.raise(4);
    EXPECT_TRUE(recorder_.messages.empty());
    EXPECT_EQ(pending(), 1u << 4);
    table_.write(16 * 4 + 12, 4, 0);
    EXPECT_EQ(recorder_.messages.size(), 1u);
    EXPECT_EQ(pending(), 0u);
}

TEST_F(Msix, TheFunctionMaskAndBusMasteringHoldMessagesBack) {
    program(0);
    table_.set_control(true, true, true);
    table_.raise(0);
    EXPECT_TRUE(recorder_.messages.empty());
    table_.set_control(true, false, false);
    EXPECT_TRUE(recorder_.messages.empty());
    table_.set_control(true, false, true);
    EXPECT_EQ(recorder_.messages.size(), 1u);
}

TEST_F(Msix, WhileDisabledNothingIsSentOrRemembered) {
    program(0);
    table_.raise(0);
    table_.set_control(true, false, true);
    EXPECT_TRUE(recorder_.messages.empty());
    EXPECT_EQ(pending(), 0u);
}

TEST_F(Msix, IgnoresVectorsAndOffsetsBeyondTheTable) {
    table_.set_control(true, false, true);
    table_.raise(5);
    table_.write(16 * 5, 8, ~std::uint64_t{0});
    table_.write(table_.pba_offset(), 8, ~std::uint64_t{0});
    EXPECT_EQ(table_.read(16 * 5, 8), 0u);
    EXPECT_EQ(pending(), 0u);
}

TEST_F(Msix, PendingBitsOfManyVectorsSpanSeveralWords) {
    MsixTable table(spec::pci::kMsixVectorLimit, recorder_);
    EXPECT_EQ(table.bar_bytes(), 65536u);
    table.set_control(true, false, true);
    table.raise(2047);
    EXPECT_EQ(table.read(table.pba_offset() + 2048 / 8 - 8, 8), std::uint64_t{1} << 63);
}

TEST_F(Msix, SavesAndRestoresEntriesAndPendingBits) {
    table_.set_control(true, false, true);
    program(1);
    table_.raise(2);
    MsixTable other(5, recorder_);
    ASSERT_TRUE(other.restore(table_.save()));
    other.set_control(true, false, true);
    EXPECT_EQ(other.read(other.pba_offset(), 8), 1u << 2);
    other.raise(1);
    EXPECT_EQ(recorder_.messages, std::vector{kMessage});
    MsixTable smaller(4, recorder_);
    EXPECT_FALSE(smaller.restore(table_.save()));
}

class Routes final : public MsixRoutes {
public:
    void route(unsigned vector, const std::optional<MsiMessage>& message) override {
        ++told;
        if (message) routes[vector] = *message;
        if (!message) routes.erase(vector);
    }
    std::map<unsigned, MsiMessage> routes;
    int told = 0;
};

TEST_F(Msix, TellsWhichVectorsMayBeSentAndAsWhat) {
    Routes routes;
    table_.follow(routes);
    program(3);
    EXPECT_TRUE(routes.routes.empty()) << "not enabled";
    table_.set_control(true, false, true);
    EXPECT_EQ(routes.routes, (std::map<unsigned, MsiMessage>{{3, kMessage}}));
    const int before = routes.told;
    table_.set_control(true, false, true);
    EXPECT_EQ(routes.told, before) << "nothing changed";
    table_.set_control(true, true, true);
    EXPECT_TRUE(routes.routes.empty());
    table_.set_control(true, false, false);
    EXPECT_TRUE(routes.routes.empty());
    table_.set_control(true, false, true);
    table_.write(16 * 3 + 8, 4, 0x99);
    EXPECT_EQ(routes.routes[3].data, 0x99u);
    table_.write(16 * 3 + 12, 4, 1);
    EXPECT_TRUE(routes.routes.empty());
    table_.write(16 * 3 + 12, 4, 0);
    const MsixState state = table_.save();
    table_.reset();
    EXPECT_TRUE(routes.routes.empty());
    table_.set_control(true, false, true);
    ASSERT_TRUE(table_.restore(state));
    EXPECT_EQ(routes.routes.size(), 1u);
}

} // namespace
} // namespace touka::platform
