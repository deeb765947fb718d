// A function for tests and fuzz targets: registers that make it read and write memory and interrupt.
#pragma once

#include <array>
#include <atomic>
#include <cstring>
#include <string>

#include "devices/passthrough/vfio_user/served_device.hpp"
#include "devices/passthrough/vfio_user/test_memory_bar.hpp"
#include "platform/pci/pci_function.hpp"
#include "runtime/notification.hpp"

namespace touka::devices::passthrough::test {

struct TestDeviceState {
    static constexpr std::uint16_t kVersion = 1;
    platform::PciFunctionState function;
    std::array<std::uint8_t, 256> buffer{};
    void describe(auto& archive) { archive(function, buffer); }
};

class TestDevice final : public platform::PciFunction, private platform::IoHandler, public RegionSharing {
public:
    /// Registers in BAR 0; the buffer follows at kBuffer.
    enum : std::uint64_t { kAddress = 0, kLength = 8, kGo = 12, kFaults = 16, kBuffer = 0x100, kDoorbell = 0x800 };
    /// Values of kGo: what is done at once.
    enum : std::uint32_t { kFetch = 1, kStore = 2, kAssert = 3, kDeassert = 4, kVector = 0x100 };
    static constexpr std::uint64_t kBar0Bytes = 0x1000, kBar2Bytes = 0x4000, kSharedAt = 0x1000, kSharedBytes = 0x2000;
    static constexpr unsigned kVectors = 4;

    explicit TestDevice(memory::DmaSpace& space)
        : PciFunction("test", {.vendor_id = 0x1234,
                               .device_id = 0x5678,
                               .revision_id = 1,
                               .class_code = 0xFF'00'00,
                               .subsystem_vendor_id = 0xAAAA,
                               .subsystem_id = 0xBBBB}),
          space_(space) {
        define_bar(0, platform::BarKind::kMemory32, kBar0Bytes, *this);
        define_bar(2, platform::BarKind::kMemory64Prefetchable, kBar2Bytes, memory_bar_);
        add_msix(5, kVectors, msi_);
        add_express_endpoint();
        set_interrupt_pin(1);
    }
    ~TestDevice() override { detach(); }

    void pause() override { ++pauses; }
    void resume() override { ++resumes; }
    void reset() override {
        PciFunction::reset();
        ++resets;
        buffer = {};
        faults = 0;
    }
    [[nodiscard]] migration::Record save() const override {
        return migration::save_record("test", TestDeviceState{save_function(), buffer});
    }
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override {
        const auto state = migration::load_record<TestDeviceState>(record);
        if (!state) return std::unexpected(state.error());
        buffer = state->buffer;
        return restore_function(state->function);
    }

    [[nodiscard]] std::optional<MappableRegion> mappable(unsigned bar) override {
        if (bar != 2) return std::nullopt;
        return MappableRegion{shared.first.get(), 0, shared_areas};
    }
    [[nodiscard]] std::vector<RegionDoorbell> doorbells(unsigned bar) override {
        if (bar != 0) return {};
        return {{kDoorbell, 4, std::nullopt, doorbell.fd()}, {kDoorbell + 8, 4, 7, doorbell.fd()}};
    }
    void raise(unsigned vector) { msix()->raise(vector); }
    void when_settled(std::function<void()> then) override {
        if (settles_at_once) return then();
        to_settle.push_back(std::move(then));
    }

    bool settles_at_once = true;
    std::vector<std::function<void()>> to_settle;

    std::pair<runtime::UniqueFd, runtime::SharedMapping> shared =
        runtime::SharedMapping::create("bar2", kBar2Bytes).value();
    std::vector<MappableRegion::Area> shared_areas{{kSharedAt, kSharedBytes}};
    runtime::Notification doorbell;
    std::array<std::uint8_t, 256> buffer{};
    std::uint64_t faults = 0;
    std::atomic<int> pauses{0}, resumes{0}, resets{0}, function_resets{0}; // tests read them from their own thread

private:
    [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override {
        std::uint64_t value = 0;
        if (offset == kFaults) return faults;
        if (offset >= kBuffer && offset + width_bytes <= kBuffer + buffer.size()) {
            std::memcpy(&value, buffer.data() + offset - kBuffer, width_bytes);
        }
        return value;
    }
    void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) override {
        if (offset == kAddress && width_bytes == 8) address_ = value;
        if (offset == kLength) length_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(value, buffer.size()));
        if (offset == kGo) go(static_cast<std::uint32_t>(value));
        if (offset >= kBuffer && offset + width_bytes <= kBuffer + buffer.size()) {
            std::memcpy(buffer.data() + offset - kBuffer, &value, width_bytes);
        }
    }
    void go(std::uint32_t what) {
        const auto bytes = std::as_writable_bytes(std::span(buffer).first(length_));
        const memory::Iova at{address_};
        if (what == kFetch && !space_.read(at, bytes)) ++faults;
        if (what == kStore && !space_.write(at, bytes)) ++faults;
        if (what == kAssert || what == kDeassert) pin().set(what == kAssert);
        if (what >= kVector) raise(what - kVector);
    }
    void function_level_reset() override { ++function_resets; }

    memory::DmaSpace& space_;
    MemoryBar memory_bar_{shared.second.bytes()};
    UnwiredMsi msi_;
    std::uint64_t address_ = 0;
    std::uint32_t length_ = 0;
};

} // namespace touka::devices::passthrough::test
