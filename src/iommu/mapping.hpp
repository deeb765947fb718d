#pragma once

#include <cstdint>

#include "spec/vtd/translation_tables.hpp"

namespace touka::iommu {

/// Addresses of a requester that go on together in the guest's RAM, with the same permissions.
struct Mapping {
    std::uint64_t iova = 0, length_bytes = 0;
    std::uint64_t guest = 0;
    bool read = false, write = false;                ///< one of them at least
    unsigned greatest_shift = spec::vtd::kPageShift; ///< of the pages that it is made of

    [[nodiscard]] std::uint64_t last() const { return iova + (length_bytes - 1); }
    /// Both say the same where both say something.
    [[nodiscard]] bool agrees_with(const Mapping& other) const {
        return guest - iova == other.guest - other.iova && read == other.read && write == other.write;
    }
    [[nodiscard]] bool continues_in(const Mapping& next) const {
        return iova + length_bytes == next.iova && agrees_with(next);
    }
    /// What of it lies in [from, to]. @pre some of it does.
    [[nodiscard]] Mapping part(std::uint64_t from, std::uint64_t to) const {
        Mapping part = *this;
        if (from > iova) {
            part.iova = from;
            part.guest += from - iova;
        }
        part.length_bytes = (to < last() ? to : last()) - part.iova + 1;
        return part;
    }
    bool operator==(const Mapping& other) const {
        return iova == other.iova && length_bytes == other.length_bytes && agrees_with(other);
    }
};

/// A device that keeps what it may reach, and is told of changes. Each call returns when the device has taken it.
class MappingSink {
public:
    virtual ~MappingSink() = default;
    /// @param mapping overlaps none that is there.  @return false: it has no room, or does not take this one.
    [[nodiscard]] virtual bool map(const Mapping& mapping) = 0;
    /// When it returns, the device does not reach it any more. @param mapping one that it was given.
    virtual void unmap(const Mapping& mapping) = 0;
};

} // namespace touka::iommu
