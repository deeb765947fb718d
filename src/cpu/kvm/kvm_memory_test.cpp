#include "cpu/kvm/kvm_memory.hpp"

#include "cpu/kvm/nano_guest_fixture.hpp"
#include "runtime/shared_mapping.hpp"

namespace touka::cpu::kvm {
namespace {

using Code = Xbyak::CodeGenerator;
using spec::GuestAddress;
using spec::kPageSize;

class KvmMemoryTest : public KvmTest {
protected:
    static constexpr std::uint64_t kBytes = 2 * kPageSize;
    /// Stores 5678h at kDevice + 8, and what it loads from there to kData.
    static void use_device(NanoGuest& guest) {
        guest.load(kCode, [](Code& a) {
            a.mov(a.rsi, kDevice);
            a.mov(a.eax, 0x5678);
            a.mov(a.dword[a.rsi + 8], a.eax);
            a.mov(a.ecx, a.dword[a.rsi + 8]);
            a.mov(a.edi, static_cast<std::uint32_t>(kData));
            a.mov(a.dword[a.rdi], a.ecx);
            NanoGuest::out(a, kDone);
        });
    }
    [[nodiscard]] memory::DeviceMemory device(bool writable = true) {
        return {GuestAddress{kDevice}, shared_.second.bytes(), writable};
    }
    [[nodiscard]] std::uint32_t word() const {
        std::uint32_t value = 0;
        std::memcpy(&value, shared_.second.bytes().data() + 8, sizeof value);
        return value;
    }
    /// What the guest's processors reach beside its RAM.
    static std::unique_ptr<memory::DeviceMemoryMap> map_of(NanoGuest& guest) {
        auto map = std::make_unique<memory::DeviceMemoryMap>(guest.memory().ranges());
        map->set_listener(&guest.engine().device_memory());
        return map;
    }
    std::pair<runtime::UniqueFd, runtime::SharedMapping> shared_ =
        runtime::SharedMapping::create("bar", kBytes).value();
};

TEST_F(KvmMemoryTest, DevicesMemoryIsReachedWithoutAnExit) {
    auto guest = make();
    const auto map = map_of(*guest);
    use_device(*guest);
    ASSERT_TRUE(map->add(device()));
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_EQ(word(), 0x5678u);
    EXPECT_EQ(guest->data(), 0x5678u);
    EXPECT_TRUE(guest->bus().accesses().empty());
}

TEST_F(KvmMemoryTest, WhatIsRemovedIsTheBussAgain) {
    auto guest = make();
    const auto map = map_of(*guest);
    use_device(*guest);
    ASSERT_TRUE(map->add(device()));
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    map->remove(GuestAddress{kDevice});
    guest->bus().answer = 0xFFFF'FFFF;
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_EQ(guest->bus().accesses().size(), 2u);
    EXPECT_EQ(guest->data(), 0xFFFF'FFFFu);
    ASSERT_TRUE(map->add(device())) << "its slot is free";
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_EQ(guest->bus().accesses().size(), 2u);
}

TEST_F(KvmMemoryTest, StoresToWhatIsReadOnlyAreTheBuss) {
    auto guest = make();
    use_device(*guest);
    const auto map = map_of(*guest);
    ASSERT_TRUE(map->add(device(false)));
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_EQ(guest->bus().accesses(), (std::vector<Access>{{false, true, kDevice + 8, 4, 0x5678}}));
    EXPECT_EQ(word(), 0u);
}

TEST_F(KvmMemoryTest, DevicesMemoryHasNoDirtyLog) {
    auto guest = make();
    use_device(*guest);
    const auto map = map_of(*guest);
    ASSERT_TRUE(map->add(device()));
    guest->memory().dirty_log().set_enabled(true);
    guest->engine().dirty_log_changed();
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    guest->engine().collect_dirty();
    EXPECT_EQ(guest->engine().failure(), "");
    EXPECT_TRUE(guest->bus().accesses().empty());
    EXPECT_EQ(word(), 0x5678u);
}

TEST_F(KvmMemoryTest, ManyPiecesHaveSlotsOfTheirOwn) {
    auto guest = make();
    const auto map = map_of(*guest);
    const auto page = shared_.second.bytes().first(kPageSize);
    for (std::uint64_t i = 0; i < 20; ++i)
        ASSERT_TRUE(map->add({GuestAddress{kDevice + i * 2 * kPageSize}, page})) << i;
    for (std::uint64_t i = 1; i < 20; i += 2) map->remove(GuestAddress{kDevice + i * 2 * kPageSize});
    use_device(*guest);
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    EXPECT_EQ(word(), 0x5678u);
    for (std::uint64_t i = 1; i < 20; i += 2)
        ASSERT_TRUE(map->add({GuestAddress{kDevice + i * 2 * kPageSize}, page})) << i;
}

} // namespace
} // namespace touka::cpu::kvm
