// A PCI function for tests and fuzz targets: one BAR of each kind, MSI-X and a pin.
#pragma once

#include <string>
#include <vector>

#include "platform/pci/pci_function.hpp"

namespace touka::platform::test {

class MemoryHandler final : public IoHandler {
public:
    [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned) override { return offset; }
    void write(std::uint64_t offset, unsigned, std::uint64_t) override { last_offset = offset; }
    std::uint64_t last_offset = ~std::uint64_t{0};
};

class NullSink final : public MsiSink {
public:
    void send(const MsiMessage&) override { ++count; }
    int count = 0;
};

class TestFunction final : public PciFunction {
public:
    explicit TestFunction(std::string name = "test@00:03.0")
        : PciFunction(std::move(name), PciIdentity{.vendor_id = 0x1234,
                                                   .device_id = 0x5678,
                                                   .revision_id = 9,
                                                   .class_code = 0x0880'01,
                                                   .subsystem_vendor_id = 0xAAAA,
                                                   .subsystem_id = 0xBBBB}) {
        define_bar(0, BarKind::kMemory64, 0x4000, handler);
        define_bar(2, BarKind::kPorts, 0x20, handler);
        define_bar(3, BarKind::kMemory64Prefetchable, 0x10'0000, handler);
        add_msix(5, 3, sink);
        add_power_management();
        add_express_endpoint();
        set_interrupt_pin(1);
    }
    ~TestFunction() override { detach(); }

    [[nodiscard]] migration::Record save() const override {
        return migration::save_record(std::string(name()), save_function());
    }
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override {
        const auto state = migration::load_record<PciFunctionState>(record);
        if (!state) return std::unexpected(state.error());
        return restore_function(*state);
    }
    void interrupt(bool asserted) { pin().set(asserted); }
    void raise(unsigned vector) { msix()->raise(vector); }

    MemoryHandler handler;
    NullSink sink;
    int resets = 0;
    int grants = 0;
    std::vector<std::uint64_t> mapped;

private:
    void bar_mapped(unsigned, std::uint64_t address) override { mapped.push_back(address); }
    void bar_unmapped(unsigned, std::uint64_t address) override { std::erase(mapped, address); }
    void function_level_reset() override { ++resets; }
    void bus_master_granted() override { ++grants; }
};

} // namespace touka::platform::test
