// A device without a process, for tests: its configuration space in an array, its BAR 0 in another.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <vector>

#include "devices/passthrough/device_transport.hpp"
#include "spec/pci/config_header.hpp"
#include "spec/pci/message_signalled.hpp"

namespace touka::devices::passthrough::test {

/// An endpoint with MSI (at 50h, 64-bit, masks, 4 messages), MSI-X (at 70h, 100 vectors, in BAR 0) and PCI Express (at
/// 80h); SR-IOV at 100h, an unknown extended capability at 140h.
class TestTransport final : public DeviceTransport {
public:
    static constexpr std::uint32_t kMsi = 0x50, kMsix = 0x70, kExpress = 0x80, kSriov = 0x100, kOther = 0x140;
    static constexpr std::uint32_t kVectors = 100;
    static constexpr std::uint64_t kBarBytes = 0x4000, kTable = 0x2000, kPending = 0x3000;

    TestTransport() {
        put(0x00, 4, 0x5678'1234);
        put(0x06, 2, 0x0010);
        put(0x08, 4, 0x0108'0203);
        put(0x10, 4, 0x0000'0008); // 32-bit, prefetchable
        put(0x2C, 4, 0xBBBB'AAAA);
        put(0x34, 1, kMsi);
        put(0x3C, 4, 0x0000'0155); // line 55h, pin A
        put(kMsi, 4, 0x0184'7005);
        put(kMsix, 4, 0x0000'8011 | (kVectors - 1) << 16);
        put(kMsix + 4, 4, kTable);
        put(kMsix + 8, 4, kPending);
        put(kExpress, 4, 0x0002'0010);
        put(kSriov, 4, 0x1401'0010);
        put(kOther, 4, 0x0001'ABCD);
    }
    std::uint64_t bar_bytes = kBarBytes;
    void put(std::uint32_t offset, unsigned width_bytes, std::uint32_t value) {
        std::memcpy(config.data() + offset, &value, width_bytes);
    }

    void set_listener(TransportListener* told) override { listener = told; }
    [[nodiscard]] bool can_reset() const override { return true; }
    [[nodiscard]] bool can_migrate() const override { return true; }
    [[nodiscard]] std::uint64_t region_bytes(std::uint32_t region) const override {
        if (region == 0) return bar_bytes;
        if (region == spec::vfio::VFIO_PCI_ROM_REGION_INDEX) return rom.size();
        return region == spec::vfio::VFIO_PCI_CONFIG_REGION_INDEX ? config.size() : 0;
    }
    [[nodiscard]] RegionMemory region_memory(std::uint32_t region) override {
        RegionMemory memory;
        if (region == 0 && !gone && !window.empty()) memory.areas.push_back({0, window});
        memory.holes = holes;
        memory.writable = true;
        return memory;
    }
    [[nodiscard]] InterruptDescription interrupts(std::uint32_t index) const override {
        constexpr std::array<std::uint32_t, spec::vfio::VFIO_PCI_NUM_IRQS> kCounts{1, 4, kVectors, 0, 0};
        return {index == 0 && !has_intx ? 0 : kCounts.at(index), 0};
    }
    [[nodiscard]] Result read(std::uint32_t region, std::uint64_t offset, std::span<std::byte> to) override {
        if (gone) return std::unexpected(TransportError::kGone);
        if (region == spec::vfio::VFIO_PCI_ROM_REGION_INDEX) return read_rom(offset, to);
        auto& bytes = region == 0 ? bar : config;
        if (offset + to.size() > bytes.size()) return std::unexpected(TransportError::kRefused);
        std::memcpy(to.data(), bytes.data() + offset, to.size());
        return {};
    }
    [[nodiscard]] Result write(std::uint32_t region, std::uint64_t offset, std::span<const std::byte> from) override {
        if (gone) return std::unexpected(TransportError::kGone);
        auto& bytes = region == 0 ? bar : config;
        if (offset + from.size() > bytes.size()) return std::unexpected(TransportError::kRefused);
        for (std::size_t i = 0; i < from.size(); ++i) {
            const auto at = static_cast<std::uint32_t>(offset + i);
            if (region != 0) written_config.push_back(at);
            const bool read_only = region != 0 && at == kMsix + 2; // the table's size
            if (!read_only) bytes[at] = std::to_integer<std::uint8_t>(from[i]);
        }
        return {};
    }
    [[nodiscard]] Result set_events(std::uint32_t index, std::uint32_t start, std::span<const int> given) override {
        if (stopped()) return std::unexpected(TransportError::kRefused);
        for (const int fd : given) events[{index, start++}] = fd;
        return {};
    }
    [[nodiscard]] Result unmask(std::uint32_t, std::uint32_t) override {
        ++unmasks;
        return {};
    }
    [[nodiscard]] Result disable(std::uint32_t index) override {
        std::erase_if(events, [&](const auto& each) { return each.first.first == index; });
        return {};
    }
    [[nodiscard]] Result map_dma(const MemoryGrant& grant) override {
        grants.push_back(grant);
        return {};
    }
    [[nodiscard]] Result unmap_dma(memory::Iova, std::uint64_t) override { return {}; }
    [[nodiscard]] TranslatingDevice* translating() override { return asks; }
    [[nodiscard]] Result reset() override {
        ++resets;
        return {};
    }
    [[nodiscard]] Result set_migration_state(spec::vfio::MigrationState wanted) override {
        states.push_back(wanted);
        return {};
    }
    [[nodiscard]] std::expected<std::vector<std::byte>, TransportError> read_state() override { return device_state; }
    [[nodiscard]] Result write_state(std::span<const std::byte> state) override {
        device_state.assign(state.begin(), state.end());
        return {};
    }
    /// Signals an interrupt, if it is connected.
    bool fire(std::uint32_t index, std::uint32_t number) {
        const auto event = events.find({index, number});
        const std::uint64_t one = 1;
        return event != events.end() && ::write(event->second, &one, sizeof one) == sizeof one;
    }
    /// As in servers of libvfio-user: nothing about interrupts is taken then.
    [[nodiscard]] bool stopped() const {
        using enum spec::vfio::MigrationState;
        return !states.empty() && (states.back() == kStop || states.back() == kStopCopy);
    }
    [[nodiscard]] std::size_t connected(std::uint32_t index) const {
        return static_cast<std::size_t>(
            std::ranges::count_if(events, [&](const auto& each) { return each.first.first == index; }));
    }

    std::vector<std::uint8_t> config = std::vector<std::uint8_t>(spec::pci::kConfigBytes);
    std::vector<std::uint8_t> bar = std::vector<std::uint8_t>(kBarBytes); // what accesses to BAR 0 reach
    std::span<std::byte> window;                                          // what it is as memory; empty: it is none
    std::vector<RegionExtent> holes;
    std::vector<std::byte> rom;
    bool refuses_rom = false;
    std::vector<std::uint32_t> written_config;
    std::map<std::pair<std::uint32_t, std::uint32_t>, int> events;
    std::vector<MemoryGrant> grants;
    std::vector<spec::vfio::MigrationState> states;
    std::vector<std::byte> device_state{std::byte{7}};
    TransportListener* listener = nullptr;
    TranslatingDevice* asks = nullptr; ///< who asks for translations, if it does
    bool gone = false, has_intx = true;
    std::atomic<int> unmasks = 0;
    int resets = 0;

private:
    /// As vfio-pci: only while the function decodes its memory.
    [[nodiscard]] Result read_rom(std::uint64_t offset, std::span<std::byte> to) const {
        const bool decodes = (config[spec::pci::offset::kCommand] & 2) != 0;
        if (refuses_rom || !decodes || offset + to.size() > rom.size())
            return std::unexpected(TransportError::kRefused);
        std::copy_n(rom.begin() + static_cast<std::ptrdiff_t>(offset), to.size(), to.begin());
        return {};
    }
};

} // namespace touka::devices::passthrough::test
