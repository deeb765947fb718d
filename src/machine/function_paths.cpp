#include "machine/function_paths.hpp"

#include <algorithm>
#include <utility>

namespace touka::machine {

using iommu::RequesterId;

namespace {

/// Of functions that are in no slot yet.
constexpr RequesterId kNobody{0xFFFF};

} // namespace

FunctionPaths::~FunctionPaths() {
    for (Path& path : paths_) leave(path);
}

void FunctionPaths::leave(Path& path) {
    if (path.remapped_ == nullptr) return;
    unit_->remove_requester(std::static_pointer_cast<iommu::RemappedSpace>(path.dma_));
}

void FunctionPaths::close(Path& path) {
    leave(path);
    const std::scoped_lock lock(mutex_);
    paths_.remove_if([&path](const Path& each) { return &each == &path; });
}

FunctionPaths::Path& FunctionPaths::open() {
    Path& path = open_direct();
    if (unit_ == nullptr) return path;
    auto space = unit_->add_requester(kNobody);
    path.unit_ = unit_;
    path.remapped_ = space.get();
    path.dma_ = std::move(space);
    return path;
}

FunctionPaths::Path& FunctionPaths::open_with_translation() {
    Path& path = open();
    if (path.remapped_ == nullptr) return path;
    path.translation_ = std::make_unique<iommu::AddressTranslationCache>(*path.remapped_);
    path.remapped_->set_device_tlb(path.translation_.get());
    return path;
}

bool FunctionPaths::with_translation() const {
    const std::scoped_lock lock(mutex_);
    return std::ranges::any_of(paths_, [](const Path& path) { return path.translation_ != nullptr; });
}

FunctionPaths::Path& FunctionPaths::open_direct() {
    Path& path = [this]() -> Path& {
        const std::scoped_lock lock(mutex_);
        return paths_.emplace_back();
    }();
    path.dma_ = std::make_shared<memory::IdentityDmaSpace>(memory_);
    path.msi_ = &msi_;
    if (unit_ == nullptr) return path;
    path.remapped_msi_ = std::make_unique<iommu::RemappedMsi>(unit_->interrupts(), kNobody);
    path.msi_ = path.remapped_msi_.get();
    return path;
}

void FunctionPaths::Path::belongs_to(platform::PciFunction& function) {
    if (remapped_msi_ == nullptr) return;
    function.follow_requester([this](std::uint16_t number) {
        if (remapped_ != nullptr) remapped_->set_requester(RequesterId{number});
        if (shadow_) shadow_->set_requester(RequesterId{number});
        if (caching_) caching_->set_requester(RequesterId{number});
        if (translation_ != nullptr) translation_->forget();
        remapped_msi_->set_requester(RequesterId{number});
    });
}

bool FunctionPaths::Path::shadow(iommu::MappingSink& sink, std::function<void(std::uint64_t)> on_shortage) {
    shadow_ = unit_->add_shadow(remapped_->requester(), sink, {.limits = {}, .on_shortage = std::move(on_shortage)});
    return shadow_->shortage_count() == 0;
}

iommu::CachingRequester& FunctionPaths::Path::answer(iommu::CachingDevice& device) {
    caching_ = unit_->add_caching(remapped_->requester(), device);
    return *caching_;
}

void FunctionPaths::Path::end_caching() {
    if (!caching_) return;
    unit_->remove_caching(caching_);
    caching_->close();
    caching_.reset();
}

std::vector<iommu::Mapping> FunctionPaths::Path::end_shadow() {
    if (!shadow_) return {};
    unit_->remove_shadow(shadow_);
    shadow_->close();
    std::vector<iommu::Mapping> left;
    for (const auto& [iova, mapping] : shadow_->mappings()) left.push_back(mapping);
    shadow_.reset();
    return left;
}

} // namespace touka::machine
