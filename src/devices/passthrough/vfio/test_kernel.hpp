#pragma once

#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <string>

#include "devices/passthrough/vfio/kernel_calls.hpp"
#include "spec/vfio/iommufd.hpp"

namespace touka::devices::vfio::test {

/// A kernel that knows containers, groups and iommufd as far as address spaces need them.
class TestKernel final : public KernelCalls {
public:
    /// What can be opened, and by errno what cannot; files that are not here are not there.
    std::map<std::string, int> files;
    std::map<std::string, unsigned> group_of_file; ///< of the functions' own files
    std::map<unsigned long, int> refused;          ///< requests that fail, with errno

    struct Mapping {
        std::uint64_t memory = 0, length_bytes = 0;
        bool readable = false, writable = false;
    };
    using Space = std::map<std::uint64_t, Mapping>;
    std::map<std::uint32_t, Space> ioas;           ///< by ID
    std::map<std::string, std::uint32_t> attached; ///< the functions' own files, and the IOAS
    std::map<int, Space> containers;               ///< by descriptor
    std::map<std::string, std::string> device_of;  ///< addresses that were opened by group, and its path
    std::map<std::string, unsigned> opened;        ///< how often

    [[nodiscard]] bool is_open(const std::string& path) const {
        for (const auto& [fd, of] : paths_) {
            if (of == path && ::fcntl(fd, F_GETFD) != -1) return true;
        }
        return false;
    }

    runtime::UniqueFd open(const std::string& path) override {
        if (!may_open(path)) return {};
        ++opened[path];
        return file(path);
    }
    bool may_open(const std::string& path) override {
        const auto found = files.find(path);
        errno = found == files.end() ? ENOENT : found->second;
        return errno == 0;
    }
    int ioctl(int fd, unsigned long request, void* argument) override {
        using namespace spec::vfio;
        if (const auto found = refused.find(request); found != refused.end()) return failed(found->second);
        switch (request) {
            case IOMMU_IOAS_ALLOC: return allocate(*static_cast<IommuIoasAlloc*>(argument));
            case IOMMU_DESTROY: return destroy(*static_cast<IommuDestroy*>(argument));
            case IOMMU_IOAS_MAP: return map(*static_cast<IommuIoasMap*>(argument));
            case IOMMU_IOAS_UNMAP: return unmap(*static_cast<IommuIoasUnmap*>(argument));
            case VFIO_DEVICE_BIND_IOMMUFD: return bind(fd, *static_cast<DeviceBindIommufd*>(argument));
            case VFIO_DEVICE_ATTACH_IOMMUFD_PT: return attach(fd, *static_cast<DeviceAttachIommufdPt*>(argument));
            case VFIO_GET_API_VERSION: return VFIO_API_VERSION;
            case VFIO_CHECK_EXTENSION: return reinterpret_cast<std::uintptr_t>(argument) == VFIO_TYPE1v2_IOMMU ? 1 : 0;
            case VFIO_GROUP_GET_STATUS:
                static_cast<vfio_group_status*>(argument)->flags = VFIO_GROUP_FLAGS_VIABLE;
                return 0;
            case VFIO_GROUP_SET_CONTAINER: return 0;
            case VFIO_SET_IOMMU: containers[fd]; return 0;
            case VFIO_GROUP_GET_DEVICE_FD:
                device_of[static_cast<const char*>(argument)] = paths_.at(fd);
                return file(static_cast<const char*>(argument)).release();
            case VFIO_IOMMU_MAP_DMA: return map_container(fd, *static_cast<vfio_iommu_type1_dma_map*>(argument));
            case VFIO_IOMMU_UNMAP_DMA:
                return unmap_in(containers.at(fd), static_cast<vfio_iommu_type1_dma_unmap*>(argument)->iova) != 0 ? 0
                                                                                                                  : -1;
            default: return failed(ENOTTY);
        }
    }

private:
    static int failed(int error) {
        errno = error;
        return -1;
    }
    runtime::UniqueFd file(const std::string& path) {
        runtime::UniqueFd fd(::eventfd(0, EFD_CLOEXEC));
        paths_[fd.get()] = path;
        bound_.erase(fd.get());
        return fd;
    }
    int allocate(spec::vfio::IommuIoasAlloc& alloc) {
        if (alloc.size != sizeof alloc || alloc.flags != 0) return failed(EINVAL);
        alloc.out_ioas_id = ++last_id_;
        ioas[last_id_];
        return 0;
    }
    int destroy(const spec::vfio::IommuDestroy& destroy) {
        if (destroy.size != sizeof destroy) return failed(EINVAL);
        for (const auto& [path, id] : attached) {
            if (id == destroy.id && is_open(path)) return failed(EBUSY);
        }
        return ioas.erase(destroy.id) == 1 ? 0 : failed(ENOENT);
    }
    static int map_in(Space& space, std::uint64_t iova, const Mapping& mapping) {
        return space.emplace(iova, mapping).second ? 0 : failed(EEXIST);
    }
    /// @return what was unmapped, in bytes.
    static std::uint64_t unmap_in(Space& space, std::uint64_t iova) {
        const auto found = space.find(iova);
        if (found == space.end()) return 0;
        const std::uint64_t length = found->second.length_bytes;
        space.erase(found);
        return length;
    }
    int map(const spec::vfio::IommuIoasMap& map) {
        if (map.size != sizeof map || (map.flags & spec::vfio::IOMMU_IOAS_MAP_FIXED_IOVA) == 0) return failed(EINVAL);
        const auto space = ioas.find(map.ioas_id);
        if (space == ioas.end()) return failed(ENOENT);
        return map_in(space->second, map.iova,
                      {map.user_va, map.length, (map.flags & spec::vfio::IOMMU_IOAS_MAP_READABLE) != 0,
                       (map.flags & spec::vfio::IOMMU_IOAS_MAP_WRITEABLE) != 0});
    }
    int unmap(spec::vfio::IommuIoasUnmap& unmap) {
        const auto space = ioas.find(unmap.ioas_id);
        if (unmap.size != sizeof unmap || space == ioas.end()) return failed(ENOENT);
        unmap.length = unmap_in(space->second, unmap.iova);
        return unmap.length != 0 ? 0 : failed(ENOENT);
    }
    int map_container(int fd, const vfio_iommu_type1_dma_map& map) {
        return map_in(containers.at(fd), map.iova,
                      {map.vaddr, map.size, (map.flags & VFIO_DMA_MAP_FLAG_READ) != 0,
                       (map.flags & VFIO_DMA_MAP_FLAG_WRITE) != 0});
    }
    int bind(int fd, const spec::vfio::DeviceBindIommufd& bind) {
        if (bind.argsz != sizeof bind || bind.flags != 0 || paths_.at(bind.iommufd) != "/dev/iommu") {
            return failed(EINVAL);
        }
        bound_.insert(fd);
        return 0;
    }
    /// One group, one table: what the kernel says of functions that ACS does not separate.
    int attach(int fd, const spec::vfio::DeviceAttachIommufdPt& attach) {
        if (attach.argsz != sizeof attach || !bound_.contains(fd)) return failed(EINVAL);
        const std::string& path = paths_.at(fd);
        for (const auto& [other, id] : attached) {
            if (other != path && is_open(other) && group_of_file[other] == group_of_file[path] && id != attach.pt_id) {
                return failed(EINVAL);
            }
        }
        attached[path] = attach.pt_id;
        return 0;
    }

    std::map<int, std::string> paths_; // by descriptor
    std::set<int> bound_;
    std::uint32_t last_id_ = 0;
};

} // namespace touka::devices::vfio::test
