// A unit between any driver and any device: the input is guest memory with tables, invalidation queue and interrupt
// table in it, and then steps: register accesses, DMA, interrupts, uses that begin and end.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "iommu/test_unit.hpp"

using namespace touka;
using namespace touka::iommu;

namespace {

constexpr std::uint64_t kTableBytes = 16 << 10; // what the input fills, from address 0 on
constexpr RequesterId kFunction{0x0000};

/// Takes the input apart; at its end all is zero.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
    [[nodiscard]] bool empty() const { return left_ == 0; }
    template <class T>
    T take() {
        T value{};
        const std::size_t count = std::min(sizeof value, left_);
        std::memcpy(&value, data_, count);
        data_ += count;
        left_ -= count;
        return value;
    }

private:
    const std::uint8_t* data_;
    std::size_t left_;
};

/// Answers, now or never.
class MoodyDevice final : public DeviceTlb {
public:
    void invalidate(spec::Iova, spec::Iova, std::function<void()> answered) override {
        if (++count_ % 2 == 0) answered();
    }

private:
    unsigned count_ = 0;
};

void access(TestUnit& test, RemappedSpace& space, std::uint64_t address, std::uint8_t kind) {
    const auto direction = kind % 2 == 0 ? memory::DmaAccess::kRead : memory::DmaAccess::kWrite;
    const auto check = [&](const auto& span) { // what was given is guest memory
        if (!span) return;
        const auto offset = static_cast<std::uint64_t>(span->data() - test.ram().base());
        if (span->empty() || offset + span->size() > TestUnit::kRamBytes) std::abort();
    };
    const auto use = space.use();
    switch (kind / 2 % 3) {
        case 0: check(space.translate(memory::Iova{address}, 0x3000, direction)); break;
        case 1: check(space.translated(spec::GuestAddress{address}, 16, direction)); break;
        default:
            if (const auto found = space.translation_request(memory::Iova{address}))
                check(space.translated(found->address, 1, direction));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    TestUnit test;
    MoodyDevice device;
    std::optional<memory::DmaUses::Use> held;
    const auto space = test.unit().add_requester(kFunction);
    space->set_device_tlb(&device);
    RemappedMsi msi(test.unit().interrupts(), kFunction);

    const std::size_t tables = std::min<std::size_t>(size, kTableBytes);
    std::memcpy(test.ram().base(), data, tables);
    Input input(data + tables, size - tables);
    for (int steps = 0; !input.empty() && steps < 256; ++steps) {
        const auto step = input.take<std::uint8_t>();
        switch (step % 6) {
            case 0: test.unit().write(input.take<std::uint8_t>() * 4u, 4, input.take<std::uint32_t>()); break;
            case 1: test.unit().write(input.take<std::uint8_t>() / 2 * 8u, 8, input.take<std::uint64_t>()); break;
            case 2: (void)test.unit().read(input.take<std::uint8_t>() * 4u, 4); break;
            case 3: access(test, *space, input.take<std::uint64_t>(), step / 6); break;
            case 4:
                msi.send({0xFEE0'0000u | input.take<std::uint32_t>() % 0x10'0000, input.take<std::uint32_t>()});
                break;
            default:
                if (held) {
                    held.reset();
                } else {
                    held = space->use();
                }
                if (step / 6 % 4 == 3) test.timers().advance(70'000'000'000);
        }
    }
    const auto record = test.unit().save();
    held.reset();
    if (!test.unit().restore(record)) std::abort();
    return 0;
}
