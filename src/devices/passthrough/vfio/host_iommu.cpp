#include "devices/passthrough/vfio/host_iommu.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace touka::devices::vfio {

namespace {

std::unexpected<std::string> failure(std::string text) { return std::unexpected(std::move(text)); }

/// "0000:03:00.0, 0000:03:00.1"
std::string members(unsigned group, const std::vector<HostFunction>& all) {
    std::vector<std::string_view> addresses;
    for (const HostFunction& each : all) {
        if (each.iommu_group == group) addresses.push_back(each.address);
    }
    return fmt::format("{}", fmt::join(addresses, ", "));
}

} // namespace

std::expected<runtime::UniqueFd, std::string> HostPlace::open() {
    auto fd = space_->open_device(function_);
    opened_ = fd.has_value();
    return fd;
}

std::vector<std::shared_ptr<HostPlace>> HostIommu::group_of(const HostFunction& function) {
    std::erase_if(places_, [](const auto& each) { return each.expired(); });
    std::vector<std::shared_ptr<HostPlace>> found;
    for (const auto& each : places_) {
        auto held = each.lock();
        if (held && held->function().iommu_group == function.iommu_group) found.push_back(std::move(held));
    }
    return found;
}

bool HostIommu::may_use_iommufd(const HostFunction& function) {
    return !function.vfio_device.empty() && kernel_.may_open(files_.iommu) &&
           kernel_.may_open(fmt::format("{}/devices/{}", files_.vfio, function.vfio_device));
}

std::expected<std::shared_ptr<HostPlace>, std::string>
HostIommu::place(const HostFunction& function, const std::vector<HostFunction>& all, std::optional<bool> iommufd) {
    for (const auto& other : group_of(function)) {
        const std::string& there = other->function().address;
        if (there == function.address) return failure(fmt::format("{}: the machine has it already", there));
        const unsigned group = *function.iommu_group;
        if (apart_) {
            return failure(fmt::format("{}: the host's IOMMU keeps group {} ({}) together: what {} reaches it reaches, "
                                       "too; with --iommu give one of them, or leave out --iommu",
                                       function.address, group, members(group, all), there));
        }
        if (iommufd.value_or(other->by_iommufd()) != other->by_iommufd()) {
            return failure(fmt::format("{}: group {} ({}) goes one way as a whole, and {} has iommufd={}",
                                       function.address, group, members(group, all), there,
                                       other->by_iommufd() ? "on" : "off"));
        }
        iommufd = other->by_iommufd();
    }
    const bool by_iommufd = iommufd ? *iommufd : may_use_iommufd(function);
    auto memory = space(by_iommufd);
    if (!memory) return failure(fmt::format("{}: {}", function.address, memory.error()));
    auto placed = std::make_shared<HostPlace>(function, std::move(*memory), by_iommufd);
    places_.push_back(placed);
    return placed;
}

std::expected<std::shared_ptr<IoAddressSpace>, std::string> HostIommu::space(bool iommufd) {
    if (apart_) return new_space(iommufd);
    std::weak_ptr<IoAddressSpace>& shared = iommufd ? ioas_ : container_;
    if (auto there = shared.lock()) return there;
    auto made = new_space(iommufd);
    if (made) shared = *made;
    return made;
}

std::expected<std::shared_ptr<IoAddressSpace>, std::string> HostIommu::new_space(bool iommufd) {
    if (!iommufd) return VfioContainer::open(kernel_, files_.vfio);
    auto owner = iommufd_.lock();
    if (!owner) {
        auto opened = Iommufd::open(kernel_, files_.iommu);
        if (!opened) return failure(opened.error());
        owner = std::move(*opened);
        iommufd_ = owner;
    }
    return Ioas::create(std::move(owner), files_.vfio + "/devices");
}

} // namespace touka::devices::vfio
