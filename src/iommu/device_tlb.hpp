#pragma once

#include <cstdint>
#include <expected>
#include <functional>

#include "spec/address.hpp"

namespace touka::iommu {

/// The translation cache of a device with ATS, as the unit sees it. (PCIe Base 5.0 §10.3)
class DeviceTlb {
public:
    virtual ~DeviceTlb() = default;
    /// Called on any thread, without a lock held.
    /// @param first, last of what is to be forgotten.
    /// @param answered to be called once, on any thread, perhaps before this returns, when no access by an old
    /// translation is under way any more. Nobody listens after the time-out.
    virtual void invalidate(spec::Iova first, spec::Iova last, std::function<void()> answered) = 0;
};

/// A translation completion's one entry. (PCIe Base 5.0 §10.2.3) Without a permission there is no address.
struct AtsTranslation {
    spec::GuestAddress address; ///< of the page
    std::uint64_t length_bytes = 0;
    bool read = false, write = false;
};

/// A translation completion without data.
enum class AtsStatus { kUnsupportedRequest };

} // namespace touka::iommu
