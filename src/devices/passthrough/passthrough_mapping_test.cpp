// When the pages of a passed-through function's BARs are the processors' own, and when they are not.
#include "devices/passthrough/passthrough_fixture.hpp"

namespace touka::devices::passthrough {
namespace {

using namespace spec::vfio;
using spec::kPageSize;
using test::TestTransport;

class Engine final : public memory::DeviceMemoryListener {
public:
    bool add_device_memory(const memory::DeviceMemory& memory) override {
        on_add(memory);
        if (maps) mapped[memory.start.value] = memory.host;
        return maps;
    }
    void remove_device_memory(const memory::DeviceMemory& memory) override { mapped.erase(memory.start.value); }
    bool maps = true;
    std::map<std::uint64_t, std::span<std::byte>> mapped;
    std::function<void(const memory::DeviceMemory&)> on_add = [](const memory::DeviceMemory&) {};
};

/// The TestTransport's BAR 0 has the table of MSI-X in its third page and the pending bits in its fourth.
class PassthroughMapping : public test::PassthroughTest {
protected:
    static constexpr std::uint32_t kPower = 0x90, kMsixOn = 0x8000, kIntxOff = 0x0406;
    void SetUp() override {
        processors_.set_listener(&engine_);
        transport_.window = window_;
        transport_.put(TestTransport::kExpress + 1, 1, kPower);
        transport_.put(kPower, 4, 0x0003'0001);
        PassthroughTest::SetUp();
    }
    [[nodiscard]] std::vector<std::uint64_t> places() const {
        std::vector<std::uint64_t> all;
        for (const auto& [start, bytes] : engine_.mapped) all.push_back(start);
        return all;
    }
    [[nodiscard]] bool is_mapped() const { return !engine_.mapped.empty(); }
    void use_msix() { write(TestTransport::kMsix + 2, 2, kMsixOn); }

    alignas(4096) std::array<std::byte, TestTransport::kBarBytes> window_{};
    Engine engine_;
};

TEST_F(PassthroughMapping, IsThePagesThatTheMachineDoesNotAnswerFor) {
    use_msix();
    ASSERT_EQ(places(), (std::vector<std::uint64_t>{bar_}));
    EXPECT_EQ(engine_.mapped[bar_].data(), window_.data());
    EXPECT_EQ(engine_.mapped[bar_].size(), 2 * kPageSize);
    EXPECT_EQ(function_->mapped_bytes(), 2 * kPageSize);
    set_up_vector(3); // the table is where it was
    EXPECT_EQ(memory_.read(bar_ + TestTransport::kTable + 16 * 3 + 8, 4), 3u);
}

TEST_F(PassthroughMapping, LeavesOutWhatMeansMoreThanMemory) {
    transport_.holes = {{0x1004, 4}};
    use_msix();
    ASSERT_EQ(places(), (std::vector<std::uint64_t>{bar_}));
    EXPECT_EQ(engine_.mapped[bar_].size(), kPageSize);
    memory_.write(bar_ + 0x1004, 4, 7);
    EXPECT_EQ(transport_.bar[0x1004], 7);
}

TEST_F(PassthroughMapping, WaitsWhileIntxIsInUse) {
    EXPECT_FALSE(is_mapped()) << "an INTx goes down at an access, which nobody would see";
    write(4, 2, kIntxOff);
    EXPECT_TRUE(is_mapped());
    write(4, 2, 0x0006);
    EXPECT_FALSE(is_mapped());
    use_msix();
    EXPECT_TRUE(is_mapped());
    write(TestTransport::kMsix + 2, 2, 0);
    EXPECT_FALSE(is_mapped());
    write(TestTransport::kMsi + 2, 2, 1);
    EXPECT_TRUE(is_mapped());
}

TEST_F(PassthroughMapping, IsThereFromTheStartForADeviceWithoutIntx) {
    transport_.has_intx = false;
    start();
    EXPECT_TRUE(is_mapped());
}

TEST_F(PassthroughMapping, FollowsTheBar) {
    use_msix();
    const std::uint64_t moved = bar_ + 0x10'0000;
    write(0x10, 4, static_cast<std::uint32_t>(moved));
    EXPECT_EQ(places(), (std::vector<std::uint64_t>{moved}));
    write(4, 2, 0x0004); // Memory Space Enable
    EXPECT_FALSE(is_mapped());
    write(4, 2, 0x0006);
    EXPECT_EQ(places(), (std::vector<std::uint64_t>{moved}));
    root_.unplug(test::kPlace);
    EXPECT_FALSE(is_mapped());
}

TEST_F(PassthroughMapping, ComesWhenTheDeviceHasHeardThatItDecodes) {
    use_msix();
    write(4, 2, 0);
    bool enabled = false;
    engine_.on_add = [&](const memory::DeviceMemory&) { enabled = (transport_.config[4] & 2) != 0; };
    write(4, 2, 0x0006);
    ASSERT_TRUE(is_mapped());
    EXPECT_TRUE(enabled);
}

TEST_F(PassthroughMapping, IsAwayBelowD0) {
    use_msix();
    write(kPower + 4, 2, 3);
    EXPECT_FALSE(is_mapped());
    write(4, 2, 0x0006);
    EXPECT_FALSE(is_mapped());
    write(kPower + 4, 2, 0);
    EXPECT_TRUE(is_mapped());
}

TEST_F(PassthroughMapping, IsAwayAfterAResetUntilSoftwareEnablesIt) {
    use_msix();
    write(TestTransport::kExpress + 8, 2, 0x8000);
    EXPECT_FALSE(is_mapped());
    write(4, 2, 0x0006);
    EXPECT_FALSE(is_mapped()) << "INTx is in use";
    use_msix();
    EXPECT_TRUE(is_mapped());
    function_->bus_reset();
    EXPECT_FALSE(is_mapped());
}

TEST_F(PassthroughMapping, GoesWithTheDevice) {
    use_msix();
    ASSERT_TRUE(is_mapped());
    transport_.gone = true;
    transport_.listener->device_lost();
    EXPECT_FALSE(is_mapped());
    EXPECT_EQ(memory_.read(bar_, 4), 0xFFFF'FFFFu);
    transport_.gone = false;
    transport_.events.clear();
    transport_.listener->device_returned();
    EXPECT_FALSE(is_mapped()) << "nobody has looked yet";
    (void)read(0, 4);
    write(4, 2, 0x0006);
    use_msix();
    EXPECT_TRUE(is_mapped());
}

TEST_F(PassthroughMapping, IsLoadedAndStoredByThisProcessWhereTheEngineMapsNothing) {
    engine_.maps = false;
    use_msix();
    memory_.write(bar_ + 8, 4, 0x1234'5678);
    EXPECT_EQ(window_[8], std::byte{0x78});
    EXPECT_EQ(transport_.bar[8], 0);
    EXPECT_EQ(memory_.read(bar_ + 8, 2), 0x5678u);
    (void)memory_.read(bar_ + 9, 2); // no single access
    write(4, 2, 0);
    const PassthroughCounts counts = function_->counts();
    EXPECT_EQ(counts.direct, 2u);
    EXPECT_EQ(counts.forwarded, 1u);
    EXPECT_EQ(counts.most_mapped_bytes, 0u);
}

TEST_F(PassthroughMapping, IsThereAgainAfterARestore) {
    use_msix();
    function_->pause();
    const auto record = function_->save();
    start();
    ASSERT_FALSE(is_mapped());
    ASSERT_TRUE(function_->restore(record));
    EXPECT_TRUE(is_mapped());
}

TEST(PassthroughPages, AreWholeAndHaveNoHoles) {
    const auto pages = [](RegionExtent within, std::vector<RegionExtent> holes) {
        std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
        for (const auto& each : pages_without(within, holes)) all.emplace_back(each.offset, each.length_bytes);
        return all;
    };
    using Pages = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
    EXPECT_EQ(pages({0, 0x4000}, {}), (Pages{{0, 0x4000}}));
    EXPECT_EQ(pages({0x800, 0x2000}, {}), (Pages{{0x1000, 0x1000}}));
    EXPECT_EQ(pages({0x10, 0xFF0}, {}), Pages{});
    EXPECT_EQ(pages({0, 0x4000}, {{0x1FFF, 2}}), (Pages{{0, 0x1000}, {0x3000, 0x1000}}));
    EXPECT_EQ(pages({0, 0x4000}, {{0x3000, 0x100}, {0, 1}}), (Pages{{0x1000, 0x2000}}));
    EXPECT_EQ(pages({0, 0x4000}, {{0, 0x3001}, {0x1000, 4}}), Pages{});
    EXPECT_EQ(pages({0x2000, 0x2000}, {{0, 0x100}, {0x8000, 0x1000}, {0x2800, 0}}), (Pages{{0x2000, 0x2000}}));
}

} // namespace
} // namespace touka::devices::passthrough
