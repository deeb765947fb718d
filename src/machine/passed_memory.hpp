#pragma once

#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "devices/passthrough/device_transport.hpp"
#include "iommu/shadowed_requester.hpp"
#include "machine/function_paths.hpp"
#include "memory/guest_memory.hpp"

namespace touka::machine {

/// What a function that is passed through reaches of the guest's memory: all RAM or, behind the machine's IOMMU, what
/// the guest's tables map for it: as mappings that it is given, or, where it asks for translations, as answers; then
/// its process is trusted with all RAM. Control thread; the device is told on a thread of its own.
class PassedMemory final : private iommu::MappingSink,
                           private iommu::CachingDevice,
                           private devices::passthrough::TranslationAgent {
public:
    /// @param name for messages.  @param transport, memory, path outlive it.
    /// @return nullptr: the device did not take its first memory.
    [[nodiscard]] static std::unique_ptr<PassedMemory> grant(std::string name,
                                                             devices::passthrough::DeviceTransport& transport,
                                                             const memory::GuestMemory& memory,
                                                             FunctionPaths::Path& path);
    /// Whether it follows the guest's tables by what the guest tells of: that needs caching mode.
    [[nodiscard]] bool is_shadowed() const { return path_.is_remapped() && translating_ == nullptr; }
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
    void forget(std::span<const iommu::Extent> extents, bool untranslated) override;
    [[nodiscard]] std::vector<devices::passthrough::AddressTranslation> translate(memory::Iova first,
                                                                                  std::uint64_t length_bytes) override;
    [[nodiscard]] bool give();
    void end_answers();

    std::string name_;
    devices::passthrough::DeviceTransport& transport_;
    const memory::GuestMemory& memory_;
    FunctionPaths::Path& path_;
    devices::passthrough::TranslatingDevice* translating_ = nullptr; // null: it does not ask
    iommu::CachingRequester* answers_ = nullptr;                     // set before it may ask
};

} // namespace touka::machine
