#include "devices/passthrough/vfio/host_iommu.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "devices/passthrough/vfio/test_kernel.hpp"

namespace touka::devices::vfio {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kBytes = 0x4000;

/// Functions 02:00.0 and 02:00.1 are group 7 together, 03:00.0 is group 8 alone; vfioN is the Nth of them.
class HostIommuTest : public testing::Test {
protected:
    HostIommuTest() {
        kernel_.files = {{"/dev/iommu", 0}, {"/dev/vfio/vfio", 0}, {"/dev/vfio/7", 0}, {"/dev/vfio/8", 0}};
        for (const auto& [address, group] :
             {std::pair{"0000:02:00.0", 7u}, {"0000:02:00.1", 7u}, {"0000:03:00.0", 8u}}) {
            HostFunction function;
            function.address = address;
            function.iommu_group = group;
            function.driver = "vfio-pci";
            function.vfio_device = "vfio" + std::to_string(all_.size());
            kernel_.files[own_file(function)] = 0;
            kernel_.group_of_file[own_file(function)] = group;
            all_.push_back(function);
        }
        auto made = runtime::SharedMapping::create("ram", kBytes);
        ram_ = std::move(made->first);
        bytes_ = std::move(made->second);
    }
    static std::string own_file(const HostFunction& function) { return "/dev/vfio/devices/" + function.vfio_device; }
    void without_iommufd() {
        kernel_.files.erase("/dev/iommu");
        for (auto& function : all_) function.vfio_device.clear();
    }

    /// A function that is open, as a KernelDevice has it.
    struct Open {
        std::shared_ptr<HostPlace> place;
        runtime::UniqueFd file;
        void close() {
            file.reset();
            place.reset();
        }
    };
    Open open(HostIommu& iommu, std::size_t index, std::optional<bool> iommufd = {}) {
        auto place = iommu.place(all_[index], all_, iommufd);
        if (!place) {
            ADD_FAILURE() << place.error();
            return {};
        }
        auto file = (*place)->open();
        if (!file) {
            ADD_FAILURE() << file.error();
            return {};
        }
        return {std::move(*place), std::move(*file)};
    }
    std::string refusal(HostIommu& iommu, std::size_t index, std::optional<bool> iommufd = {}) {
        auto place = iommu.place(all_[index], all_, iommufd);
        if (!place) return place.error();
        auto file = (*place)->open();
        return file ? "not refused" : file.error();
    }
    [[nodiscard]] passthrough::MemoryGrant grant(std::uint64_t iova, std::uint64_t offset = 0,
                                                 std::uint64_t length = kBytes, bool writable = true) const {
        return {.start = memory::Iova{iova},
                .length_bytes = length,
                .file = ram_.get(),
                .file_offset = offset,
                .writable = writable};
    }

    test::TestKernel kernel_;
    std::vector<HostFunction> all_;
    runtime::UniqueFd ram_;
    runtime::SharedMapping bytes_;
};

TEST_F(HostIommuTest, WhereTheKernelHasIommufdAFunctionIsBoundByItsOwnFileAndAttached) {
    HostIommu iommu(false, kernel_);
    const Open function = open(iommu, 0);
    EXPECT_TRUE(function.place->by_iommufd());
    EXPECT_EQ(kernel_.attached, (std::map<std::string, std::uint32_t>{{"/dev/vfio/devices/vfio0", 1}}));
    EXPECT_EQ(kernel_.opened["/dev/vfio/vfio"] + kernel_.opened["/dev/vfio/7"], 0u) << "no container, no group";
}

TEST_F(HostIommuTest, ByIommufdGrantsAreMappingsOfTheirMemoryAtTheirAddresses) {
    HostIommu iommu(false, kernel_);
    const Open function = open(iommu, 0);
    IoAddressSpace& space = function.place->space();
    ASSERT_TRUE(space.map(grant(0x10'0000, 0x1000, 0x2000)));
    ASSERT_TRUE(space.map(grant(0x20'0000, 0x3000, 0x1000, false)));
    auto& mapped = kernel_.ioas.at(1);
    ASSERT_EQ(mapped.size(), 2u);
    const auto& first = mapped.at(0x10'0000);
    EXPECT_EQ(first.length_bytes, 0x2000u);
    EXPECT_TRUE(first.readable && first.writable);
    bytes_.bytes()[0x1000] = std::byte{0x5A};
    EXPECT_EQ(*reinterpret_cast<const std::byte*>(first.memory), std::byte{0x5A});
    EXPECT_TRUE(mapped.at(0x20'0000).readable && !mapped.at(0x20'0000).writable);
    EXPECT_FALSE(space.unmap(memory::Iova{0x10'0000}, 0x1000)) << "a part of it";
    EXPECT_TRUE(space.unmap(memory::Iova{0x10'0000}, 0x2000));
    EXPECT_FALSE(space.unmap(memory::Iova{0x10'0000}, 0x2000)) << "again";
    EXPECT_EQ(mapped.size(), 1u);
}

TEST_F(HostIommuTest, WhatIsNotInTheFileOrTheKernelDoesNotMapIsRefused) {
    HostIommu iommu(false, kernel_);
    const Open function = open(iommu, 0);
    EXPECT_FALSE(function.place->space().map(grant(0, kBytes, 0x1000)));
    kernel_.refused[spec::vfio::IOMMU_IOAS_MAP] = ENOMEM;
    EXPECT_FALSE(function.place->space().map(grant(0)));
    kernel_.refused.clear();
    EXPECT_TRUE(function.place->space().map(grant(0))) << "as if nothing had been";
    kernel_.refused[spec::vfio::IOMMU_IOAS_UNMAP] = EIO;
    EXPECT_FALSE(function.place->space().unmap(memory::Iova{0}, kBytes));
}

TEST_F(HostIommuTest, FunctionsThatReachTheSameShareASpaceAndItsMappings) {
    for (const bool iommufd : {true, false}) {
        HostIommu iommu(false, kernel_);
        Open one = open(iommu, 0, iommufd), other = open(iommu, 2, iommufd);
        ASSERT_EQ(&one.place->space(), &other.place->space());
        const auto& mapped = iommufd ? kernel_.ioas.at(1) : kernel_.containers.begin()->second;
        EXPECT_TRUE(one.place->space().map(grant(0)));
        EXPECT_TRUE(other.place->space().map(grant(0)));
        EXPECT_EQ(mapped.size(), 1u);
        EXPECT_TRUE(one.place->space().unmap(memory::Iova{0}, kBytes));
        EXPECT_EQ(mapped.size(), 1u) << "the other one reaches it";
        EXPECT_TRUE(other.place->space().unmap(memory::Iova{0}, kBytes));
        EXPECT_TRUE(mapped.empty());
    }
}

TEST_F(HostIommuTest, FunctionsThatAreApartHaveASpaceEachInOneIommufd) {
    HostIommu iommu(true, kernel_);
    const Open one = open(iommu, 0), other = open(iommu, 2);
    EXPECT_TRUE(one.place->space().map(grant(0x1000)));
    EXPECT_EQ(kernel_.ioas.at(1).size(), 1u);
    EXPECT_TRUE(kernel_.ioas.at(2).empty());
    EXPECT_EQ(kernel_.attached["/dev/vfio/devices/vfio2"], 2u);
    EXPECT_EQ(kernel_.opened["/dev/iommu"], 1u);
}

TEST_F(HostIommuTest, ApartTwoOfOneGroupAreRefusedWithItsMembers) {
    HostIommu iommu(true, kernel_);
    const Open one = open(iommu, 0);
    const std::string text = refusal(iommu, 1);
    EXPECT_THAT(text, HasSubstr("group 7 (0000:02:00.0, 0000:02:00.1)"));
    EXPECT_THAT(text, HasSubstr("leave out --iommu"));
}

TEST_F(HostIommuTest, WhatTheKernelSaysOfAGroupIsToldIfNothingHereKnewIt) {
    HostIommu one_machine(true, kernel_), other_machine(true, kernel_);
    const Open one = open(one_machine, 0);
    EXPECT_THAT(refusal(other_machine, 1), HasSubstr("IOMMU group 7"));
    EXPECT_EQ(kernel_.ioas.size(), 1u) << "and its space is gone again";
}

TEST_F(HostIommuTest, AFunctionIsGivenOnceUntilItHasLeft) {
    HostIommu iommu(false, kernel_);
    Open function = open(iommu, 0);
    EXPECT_THAT(refusal(iommu, 0), HasSubstr("has it already"));
    function.close();
    EXPECT_TRUE(kernel_.ioas.empty());
    EXPECT_FALSE(kernel_.is_open("/dev/iommu"));
    function = open(iommu, 0);
    EXPECT_EQ(kernel_.attached["/dev/vfio/devices/vfio0"], 2u);
}

TEST_F(HostIommuTest, WithoutIommufdFunctionsGoByTheirGroups) {
    without_iommufd();
    HostIommu iommu(false, kernel_);
    const Open one = open(iommu, 0), other = open(iommu, 1);
    EXPECT_FALSE(one.place->by_iommufd());
    EXPECT_EQ(kernel_.device_of,
              (std::map<std::string, std::string>{{"0000:02:00.0", "/dev/vfio/7"}, {"0000:02:00.1", "/dev/vfio/7"}}));
    EXPECT_EQ(kernel_.opened["/dev/vfio/7"], 1u);
    ASSERT_TRUE(one.place->space().map(grant(0x1000, 0, kBytes, false)));
    const auto& mapping = kernel_.containers.begin()->second.at(0x1000);
    EXPECT_TRUE(mapping.length_bytes == kBytes && mapping.readable && !mapping.writable);
}

TEST_F(HostIommuTest, AGroupWhoseFunctionsHaveLeftIsNobodysThoughOthersStay) {
    HostIommu iommu(false, kernel_);
    Open one = open(iommu, 0, false), other = open(iommu, 1, false), stays = open(iommu, 2, false);
    one.close();
    EXPECT_TRUE(kernel_.is_open("/dev/vfio/7"));
    other.close();
    EXPECT_FALSE(kernel_.is_open("/dev/vfio/7"));
    EXPECT_TRUE(kernel_.is_open("/dev/vfio/8") && kernel_.is_open("/dev/vfio/vfio"));
    kernel_.refused[VFIO_GROUP_GET_DEVICE_FD] = EINVAL;
    EXPECT_NE(refusal(iommu, 0, false), "");
    EXPECT_FALSE(kernel_.is_open("/dev/vfio/7")) << "one that was opened in vain";
}

TEST_F(HostIommuTest, WhereTheUserMayNotOpenIommufdsFilesTheGroupIsTaken) {
    HostIommu iommu(false, kernel_);
    kernel_.files["/dev/iommu"] = EACCES;
    EXPECT_FALSE(open(iommu, 0).place->by_iommufd());
    kernel_.files["/dev/iommu"] = 0;
    kernel_.files["/dev/vfio/devices/vfio0"] = EACCES;
    EXPECT_FALSE(open(iommu, 0).place->by_iommufd());
    EXPECT_TRUE(open(iommu, 2).place->by_iommufd());
}

TEST_F(HostIommuTest, OfOneGroupAllGoTheSameWay) {
    HostIommu iommu(false, kernel_);
    const Open one = open(iommu, 0, false);
    EXPECT_THAT(refusal(iommu, 1, true), HasSubstr("0000:02:00.0 has iommufd=off"));
    EXPECT_FALSE(open(iommu, 1).place->by_iommufd()) << "though there is iommufd";
    EXPECT_TRUE(open(iommu, 2, true).place->by_iommufd()) << "another group";
}

TEST_F(HostIommuTest, IommufdThatIsWantedAndNotThereIsRefusedWithWhatToDo) {
    HostIommu iommu(false, kernel_);
    kernel_.files["/dev/iommu"] = EACCES;
    EXPECT_THAT(refusal(iommu, 0, true), HasSubstr("0000:02:00.0: /dev/iommu: no permission; run as root"));
    kernel_.files.erase("/dev/iommu");
    EXPECT_THAT(refusal(iommu, 0, true), HasSubstr("Linux 6.6"));
    kernel_.files["/dev/iommu"] = 0;
    kernel_.files["/dev/vfio/devices/vfio0"] = EPERM;
    EXPECT_THAT(refusal(iommu, 0, true), HasSubstr("/dev/vfio/devices/vfio0: no permission"));
    all_[0].vfio_device.clear();
    EXPECT_THAT(refusal(iommu, 0, true), HasSubstr("CONFIG_VFIO_DEVICE_CDEV"));
}

TEST_F(HostIommuTest, RefusalsOfTheKernelSayWhatToDo) {
    HostIommu iommu(false, kernel_);
    const auto when = [&](unsigned long request, int error, bool iommufd) {
        kernel_.refused = {{request, error}};
        return refusal(iommu, 0, iommufd);
    };
    using namespace spec::vfio;
    EXPECT_THAT(when(IOMMU_IOAS_ALLOC, ENOMEM, true), HasSubstr("no address space"));
    EXPECT_THAT(when(VFIO_DEVICE_BIND_IOMMUFD, EBUSY, true), HasSubstr("another program has it"));
    EXPECT_THAT(when(VFIO_DEVICE_BIND_IOMMUFD, EINVAL, true), HasSubstr("another program has it"));
    EXPECT_THAT(when(VFIO_DEVICE_BIND_IOMMUFD, EPERM, true), HasSubstr("iommufd to have allow_unsafe_interrupts=1"));
    EXPECT_THAT(when(VFIO_DEVICE_BIND_IOMMUFD, ENODEV, true), HasSubstr("does not take it"));
    EXPECT_THAT(when(VFIO_DEVICE_ATTACH_IOMMUFD_PT, EADDRINUSE, true), HasSubstr("addresses"));
    EXPECT_THAT(when(VFIO_DEVICE_ATTACH_IOMMUFD_PT, ENOMEM, true), HasSubstr("ulimit -l"));
    EXPECT_THAT(when(VFIO_CHECK_EXTENSION, EINVAL, false), HasSubstr("no type 1"));
    EXPECT_THAT(when(VFIO_GROUP_GET_STATUS, EINVAL, false), HasSubstr("not viable"));
    EXPECT_THAT(when(VFIO_SET_IOMMU, EPERM, false), HasSubstr("vfio_iommu_type1 to have allow_unsafe_interrupts=1"));
    EXPECT_THAT(when(VFIO_GET_API_VERSION, EINVAL, false), HasSubstr("not the version"));
    kernel_.refused.clear();
    kernel_.files["/dev/vfio/7"] = EBUSY;
    EXPECT_THAT(refusal(iommu, 0, false), HasSubstr("/dev/vfio/7: another program has it"));
    EXPECT_TRUE(kernel_.ioas.empty()) << "nothing stays behind";
}

} // namespace
} // namespace touka::devices::vfio
