#pragma once

#include <expected>
#include <memory>
#include <string>

#include "devices/passthrough/device_transport.hpp"
#include "iommu/shadowed_requester.hpp"
#include "machine/function_paths.hpp"
#include "memory/guest_memory.hpp"

namespace touka::machine {

/// What a function that is passed through reaches of the guest's memory: all RAM or, behind the machine's IOMMU, what
/// the guest's tables map for it. Control thread; the device is told on a thread of its own.
class PassedMemory final : private iommu::MappingSink {
public:
    /// @param name for messages.  @param transport, memory, path outlive it.
    /// @return nullptr: the device did not take its first memory.
    [[nodiscard]] static std::unique_ptr<PassedMemory> grant(std::string name,
                                                             devices::passthrough::DeviceTransport& transport,
                                                             const memory::GuestMemory& memory,
                                                             FunctionPaths::Path& path);
    /// The device loses all that it has, or does not answer. @pre it is on no bus any more.
    void take_back();
    /// Takes nothing away: that the device goes does. @pre it is on no bus any more.
    ~PassedMemory() override;
    PassedMemory(const PassedMemory&) = delete;
    PassedMemory& operator=(const PassedMemory&) = delete;

private:
    PassedMemory(std::string name, devices::passthrough::DeviceTransport& transport, const memory::GuestMemory& memory,
                 FunctionPaths::Path& path)
        : name_(std::move(name)), transport_(transport), memory_(memory), path_(path) {}
    [[nodiscard]] bool map(const iommu::Mapping& mapping) override;
    void unmap(const iommu::Mapping& mapping) override;

    std::string name_;
    devices::passthrough::DeviceTransport& transport_;
    const memory::GuestMemory& memory_;
    FunctionPaths::Path& path_;
};

} // namespace touka::machine
