#pragma once

#include <gtest/gtest.h>

#include "cpu/kvm/nano_guest.hpp"

namespace touka::cpu::kvm {

inline void PrintTo(const Access& a, std::ostream* out) {
    *out << (a.port ? "port " : "memory ") << (a.write ? "write " : "read ") << std::hex << a.address << " width "
         << a.width_bytes << " value " << a.value;
}

/// A test with a nano guest; skipped, with the reason, where there is no usable /dev/kvm.
class KvmTest : public testing::Test {
protected:
    void SetUp() override {
        const auto system = KvmSystem::open();
        if (!system) GTEST_SKIP() << "needs KVM: " << system.error().text;
    }
    static std::unique_ptr<NanoGuest> make(std::uint32_t vcpu_count = 1) {
        auto guest = NanoGuest::create(vcpu_count);
        EXPECT_TRUE(guest) << guest.error().text;
        return std::move(*guest);
    }
};

} // namespace touka::cpu::kvm
