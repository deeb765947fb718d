// Metadata and protection information, from Format NVM to the checks of each command.
#include <algorithm>
#include <array>

#include "devices/nvme/test_fixture.hpp"
#include "scsi/disk/crc.hpp"
#include "scsi/disk/protection.hpp"

namespace touka::devices::nvme {
namespace {

using namespace spec::nvme;
using scsi::ProtectionInformation;
using test::admin_command;
using test::block_command;

constexpr std::uint32_t kAct = kPrinfoAction << kPrinfoShift, kGuard = kPrinfoGuard << kPrinfoShift,
                        kApplication = kPrinfoApplicationTag << kPrinfoShift,
                        kReference = kPrinfoReferenceTag << kPrinfoShift;
constexpr std::uint32_t k512With8 = 2, k4096With8 = 3; // after the formats without metadata

class NvmeProtection : public test::NvmeFixture {
protected:
    static constexpr std::uint64_t kBlocks = kVolumeBytes / 512;

    NvmeProtection() {
        namespace_ = open_namespace();
        (void)protected_.add_namespace(namespace_);
        metadata_ = machine_.allocate(8192);
    }
    /// The volume and its file as a start of the machine finds them.
    NamespaceConfiguration open_namespace() {
        NamespaceConfiguration made = test::namespace_on(volume_);
        made.protection = ProtectedNamespace::open(machine_.reactor, made.open, test::namespace_on(file_).open).value();
        return made;
    }
    void bring_up_formatted(std::uint32_t type, std::uint32_t format = k512With8) {
        function_ = std::make_unique<NvmePciFunction>("nvme@00:03.0", protected_, configuration(), machine_.context());
        driver_ = std::make_unique<test::TestDriver>(machine_, *function_);
        ASSERT_TRUE(driver_->bring_up());
        ASSERT_EQ(format_to(type << 5 | format), Status::kSuccess);
        volume_.operations.clear();
    }
    Status format_to(std::uint32_t dword10) { return admin(admin_command(AdminOpcode::kFormatNvm, 1, 0, dword10)); }

    SubmissionEntry command(IoOpcode opcode, std::uint64_t lba, std::uint32_t count, std::uint32_t prinfo,
                            std::uint32_t reference) {
        SubmissionEntry made = block_command(opcode, lba, count, data_, data_ + 4096);
        made.mptr = metadata_;
        made.cdw12 |= prinfo;
        made.cdw14 = reference;
        made.cdw15 = 0xFFFF'0000;
        return made;
    }
    SubmissionEntry with_tag(SubmissionEntry made, std::uint16_t tag) {
        made.cdw15 = 0xFFFF'0000 | tag;
        return made;
    }
    std::span<std::uint8_t> bytes(std::uint64_t address, std::size_t count) {
        return {reinterpret_cast<std::uint8_t*>(machine_.ram->base()) + address, count};
    }
    void fill(std::uint8_t seed, std::size_t count) {
        for (std::uint8_t& byte : bytes(data_, count)) byte = seed = static_cast<std::uint8_t>(seed * 5 + 3);
    }
    std::span<std::uint8_t> information(std::size_t block) { return bytes(metadata_ + block * 8, 8); }
    ProtectionInformation right(std::size_t block, std::uint16_t application, std::uint32_t reference) {
        return {scsi::GuardCrc::of(bytes(data_ + block * 512, 512)), application, reference};
    }
    /// A bit of a block's eight bytes in the side file, as a disk loses it.
    void damage(std::uint64_t lba, std::size_t byte) {
        on_reactor([&] { file_.bytes[scsi::ProtectionStore::kInformationAt + lba * 8 + byte] ^= std::byte{0x10}; });
    }
    IdentifyNamespace identified() {
        EXPECT_EQ(identify(Cns::kNamespace, 1), Status::kSuccess);
        return driver_->load<IdentifyNamespace>(data_);
    }

    storage::MemoryVolume file_{scsi::ProtectionStore::file_bytes(kBlocks)};
    NamespaceConfiguration namespace_;
    Subsystem protected_{{.nqn = "nqn.2014-08.org.example:pi", .serial = "SN2", .namespace_limit = 4}};
    std::uint64_t metadata_ = 0;
};

TEST_F(NvmeProtection, AFormatWithMetadataIsShownAndKeptInTheFile) {
    bring_up_formatted(2, 0x1u << 8 | 0x10 | k4096With8);
    IdentifyNamespace data = identified();
    EXPECT_EQ(data.nlbaf, 3);
    EXPECT_EQ(data.lbaf[k512With8].metadata_bytes, 8);
    EXPECT_EQ(data.flbas, 0x10 | k4096With8);
    EXPECT_EQ(data.mc, 3);
    EXPECT_EQ(data.dpc, 0x1F);
    EXPECT_EQ(data.dps, 2 | kDpsFirst);
    EXPECT_EQ(data.nsze, kVolumeBytes / 4096);
    Namespace again(1, open_namespace());
    EXPECT_EQ(again.flbas(), data.flbas);
    EXPECT_EQ(again.dps(), data.dps);
    ASSERT_EQ(format_to(0), Status::kSuccess);
    EXPECT_FALSE(Namespace(1, open_namespace()).has_metadata());
}

TEST_F(NvmeProtection, FormatsThatThereAreNotAreRefused) {
    bring_up_formatted(1);
    for (const std::uint32_t wrong : {4u, k512With8, 4u << 5 | k512With8, 1u << 5, 0x10u, 1u << 8, 1u << 12}) {
        EXPECT_EQ(format_to(wrong), Status::kInvalidFormat) << wrong;
    }
    driver_.reset();
    make_function(); // a namespace without a file
    ASSERT_TRUE(driver_->bring_up());
    EXPECT_EQ(format_to(1u << 5 | k512With8), Status::kInvalidFormat);
    EXPECT_EQ(identified().dpc, 0);
}

TEST_F(NvmeProtection, InformationOfTheHostIsKeptAndComesBackFromABufferOfItsOwn) {
    bring_up_formatted(1);
    fill(1, 1024);
    for (std::size_t i = 0; i < 2; ++i) right(i, 0xABCD, static_cast<std::uint32_t>(70 + i)).store(information(i));
    const std::vector<std::uint8_t> sent(bytes(metadata_, 16).begin(), bytes(metadata_, 16).end());
    ASSERT_EQ(io(with_tag(command(IoOpcode::kWrite, 70, 2, kGuard | kApplication | kReference, 70), 0xABCD)),
              Status::kSuccess);
    EXPECT_EQ(std::memcmp(&volume_.bytes[70 * 512], driver_->at(data_), 1024), 0); // only blocks are in the volume
    std::ranges::fill(bytes(metadata_, 24), std::uint8_t{0x77});
    ASSERT_EQ(io(with_tag(command(IoOpcode::kRead, 70, 2, kGuard | kApplication | kReference, 70), 0xABCD)),
              Status::kSuccess);
    EXPECT_TRUE(std::ranges::equal(bytes(metadata_, 16), sent));
    EXPECT_EQ(bytes(metadata_ + 16, 1)[0], 0x77);
}

TEST_F(NvmeProtection, WhatTheHostSendsWrongIsNotWritten) {
    bring_up_formatted(1);
    fill(2, 512);
    right(0, 5, 9).store(information(0));
    const std::uint32_t all = kGuard | kApplication | kReference;
    EXPECT_EQ(io(with_tag(command(IoOpcode::kWrite, 9, 1, all, 9), 6)), Status::kApplicationTagCheckError);
    information(0)[7] ^= 1;
    EXPECT_EQ(io(with_tag(command(IoOpcode::kWrite, 9, 1, all, 9), 5)), Status::kReferenceTagCheckError);
    information(0)[0] ^= 1;
    EXPECT_EQ(io(with_tag(command(IoOpcode::kWrite, 9, 1, all, 9), 5)), Status::kGuardCheckError);
    EXPECT_TRUE(std::ranges::all_of(volume_.bytes, [](std::byte byte) { return byte == std::byte{0}; }));
    EXPECT_EQ(io(command(IoOpcode::kWrite, 9, 1, 0, 9)), Status::kSuccess); // nothing is checked
    std::ranges::fill(information(0), std::uint8_t{0xFF});                  // an escape: nothing can be checked
    EXPECT_EQ(io(with_tag(command(IoOpcode::kWrite, 9, 1, all, 9), 5)), Status::kSuccess);
}

TEST_F(NvmeProtection, PractInsertsOnWritesAndStripsOnReads) {
    for (const std::uint32_t type : {1u, 2u, 3u}) {
        driver_.reset();
        function_.reset();
        bring_up_formatted(type);
        fill(static_cast<std::uint8_t>(type), 1024);
        const std::uint32_t first = type == 1 ? 20 : 1000;
        ASSERT_EQ(io(with_tag(command(IoOpcode::kWrite, 20, 2, kAct, first), 3)), Status::kSuccess);
        ASSERT_EQ(io(command(IoOpcode::kRead, 20, 2, 0, 0)), Status::kSuccess);
        for (std::size_t i = 0; i < 2; ++i) {
            const auto reference = static_cast<std::uint32_t>(first + (type == 3 ? 0 : i));
            EXPECT_EQ(ProtectionInformation::load(information(i)), right(i, 3, reference)) << type;
        }
        std::ranges::fill(bytes(metadata_, 16), std::uint8_t{0x55});
        const std::uint32_t reference_check = type == 3 ? 0 : kReference;
        ASSERT_EQ(
            io(with_tag(command(IoOpcode::kRead, 20, 2, kAct | kGuard | kApplication | reference_check, first), 3)),
            Status::kSuccess);
        EXPECT_EQ(bytes(metadata_, 1)[0], 0x55); // stripped
    }
}

TEST_F(NvmeProtection, ReferenceTagsFollowBlocksInTypeOneAndMeanNothingInTypeThree) {
    bring_up_formatted(1);
    EXPECT_EQ(io(command(IoOpcode::kRead, 5, 1, kReference, 6)), Status::kInvalidProtectionInformation);
    EXPECT_EQ(io(command(IoOpcode::kRead, 5, 1, kReference, 5)), Status::kSuccess);
    EXPECT_EQ(io(command(IoOpcode::kVerify, 5, 1, kReference, 6)), Status::kInvalidProtectionInformation);
    ASSERT_EQ(format_to(3u << 5 | k512With8), Status::kSuccess);
    EXPECT_EQ(io(command(IoOpcode::kRead, 5, 1, kReference, 5)), Status::kInvalidProtectionInformation);
    ASSERT_EQ(format_to(2u << 5 | k512With8), Status::kSuccess);
    EXPECT_EQ(io(command(IoOpcode::kRead, 5, 1, kReference, 6)), Status::kSuccess);
}

TEST_F(NvmeProtection, DamageOnTheMediumIsSeenByEveryCommandThatReads) {
    bring_up_formatted(1);
    fill(3, 512);
    ASSERT_EQ(io(command(IoOpcode::kWrite, 8, 1, kAct, 8)), Status::kSuccess);
    damage(8, 1);
    EXPECT_EQ(io(command(IoOpcode::kRead, 8, 1, kAct | kGuard, 8)), Status::kGuardCheckError);
    EXPECT_EQ(io(command(IoOpcode::kRead, 8, 1, kAct | kReference, 8)), Status::kSuccess);
    EXPECT_EQ(io(command(IoOpcode::kVerify, 8, 1, kGuard, 8)), Status::kGuardCheckError);
    EXPECT_EQ(io(command(IoOpcode::kCompare, 8, 1, kAct | kGuard, 8)), Status::kGuardCheckError);
    damage(8, 1);
    damage(8, 6);
    EXPECT_EQ(io(command(IoOpcode::kRead, 8, 1, kAct | kReference, 8)), Status::kReferenceTagCheckError);
    EXPECT_EQ(io(command(IoOpcode::kRead, 7, 1, kAct | kGuard | kReference, 7)), Status::kSuccess); // unwritten
}

TEST_F(NvmeProtection, CompareLooksAtDataAndChecksInformation) {
    bring_up_formatted(1);
    fill(4, 512);
    ASSERT_EQ(io(command(IoOpcode::kWrite, 3, 1, kAct, 3)), Status::kSuccess);
    right(0, 0x99, 3).store(information(0)); // another application tag: information is not compared
    EXPECT_EQ(io(command(IoOpcode::kCompare, 3, 1, kGuard | kReference, 3)), Status::kSuccess);
    information(0)[0] ^= 1;
    EXPECT_EQ(io(command(IoOpcode::kCompare, 3, 1, kGuard, 3)), Status::kGuardCheckError);
    bytes(data_, 1)[0] ^= 1;
    EXPECT_EQ(io(command(IoOpcode::kCompare, 3, 1, kAct, 3)), Status::kCompareFailure);
}

TEST_F(NvmeProtection, WriteZeroesMakesInformationOrZerosOrNone) {
    bring_up_formatted(1);
    fill(5, 1024);
    ASSERT_EQ(io(command(IoOpcode::kWrite, 30, 2, kAct, 30)), Status::kSuccess);
    ASSERT_EQ(io(with_tag(command(IoOpcode::kWriteZeroes, 30, 2, kAct, 30), 7)), Status::kSuccess);
    ASSERT_EQ(io(command(IoOpcode::kRead, 30, 2, kGuard | kReference, 30)), Status::kSuccess);
    EXPECT_EQ(ProtectionInformation::load(information(1)), (ProtectionInformation{0, 7, 31}));
    EXPECT_EQ(bytes(data_, 1)[0], 0);
    ASSERT_EQ(io(command(IoOpcode::kWriteZeroes, 30, 2, 0, 30)), Status::kSuccess);
    ASSERT_EQ(io(command(IoOpcode::kRead, 30, 2, 0, 30)), Status::kSuccess);
    EXPECT_EQ(ProtectionInformation::load(information(1)), (ProtectionInformation{0, 0, 0}));
    ASSERT_EQ(io(command(IoOpcode::kWriteZeroes, 30, 2, kDeallocate, 30)), Status::kSuccess);
    ASSERT_EQ(io(command(IoOpcode::kRead, 30, 2, kGuard | kReference, 30)), Status::kSuccess);
    EXPECT_EQ(ProtectionInformation::load(information(1)), ProtectionInformation{});
}

TEST_F(NvmeProtection, DeallocatedBlocksHaveNoInformation) {
    bring_up_formatted(1);
    fill(6, 512);
    ASSERT_EQ(io(command(IoOpcode::kWrite, 11, 1, kAct, 11)), Status::kSuccess);
    driver_->store(data_, DatasetRange{0, 1, 11});
    SubmissionEntry deallocate = block_command(IoOpcode::kDatasetManagement, 0, 1, data_);
    deallocate.cdw11 = kDatasetDeallocate;
    ASSERT_EQ(io(deallocate), Status::kSuccess);
    ASSERT_EQ(io(command(IoOpcode::kRead, 11, 1, kGuard | kReference, 11)), Status::kSuccess);
    EXPECT_EQ(ProtectionInformation::load(information(0)), ProtectionInformation{});
    EXPECT_EQ(bytes(data_, 1)[0], 0);
}

TEST_F(NvmeProtection, CopyChecksTheSourceAndMakesOrKeepsInformation) {
    bring_up_formatted(1);
    fill(7, 1024);
    ASSERT_EQ(io(with_tag(command(IoOpcode::kWrite, 40, 2, kAct, 40), 8)), Status::kSuccess);
    const auto copy = [&](std::uint32_t prinfo_read, std::uint32_t prinfo, std::uint32_t reference) {
        CopyRange range{};
        range.first_lba = 40, range.block_count = 1, range.reference_tag = 40;
        driver_->store(data_ + 8192, range);
        SubmissionEntry made = command(IoOpcode::kCopy, 41, 1, 0, reference);
        made.prp1 = data_ + 8192;
        made.cdw12 = prinfo_read << kPrinfoReadShift | prinfo << kPrinfoShift;
        return made;
    };
    EXPECT_EQ(io(copy(kPrinfoAction, 0, 41)), Status::kInvalidField);
    EXPECT_EQ(io(copy(0, kPrinfoReferenceTag, 41)), Status::kReferenceTagCheckError); // tags are another block's
    ASSERT_EQ(io(copy(kPrinfoAction | kPrinfoGuard | kPrinfoReferenceTag, kPrinfoAction, 41)), Status::kSuccess);
    ASSERT_EQ(io(command(IoOpcode::kRead, 41, 2, kGuard | kReference, 41)), Status::kSuccess);
    EXPECT_EQ(ProtectionInformation::load(information(1)).reference_tag, 42u); // overlapping ranges are copied, too
    damage(40, 0);
    EXPECT_EQ(io(copy(kPrinfoAction | kPrinfoGuard, kPrinfoAction, 41)), Status::kGuardCheckError);
}

TEST_F(NvmeProtection, ExtendedBlocksHaveTheirInformationBehindThem) {
    bring_up_formatted(1, 0x10 | k512With8);
    fill(8, 1024);
    std::vector<std::uint8_t> sent;
    for (std::size_t i = 0; i < 2; ++i) {
        const auto data = bytes(data_ + i * 512, 512);
        sent.insert(sent.end(), data.begin(), data.end());
        sent.resize(sent.size() + 8);
        right(i, 1, static_cast<std::uint32_t>(50 + i)).store(std::span(sent).last(8));
    }
    std::ranges::copy(sent, bytes(data_, sent.size()).begin());
    ASSERT_EQ(io(command(IoOpcode::kWrite, 50, 2, kGuard | kReference, 50)), Status::kSuccess);
    EXPECT_EQ(std::memcmp(&volume_.bytes[51 * 512], sent.data() + 520, 512), 0);
    std::ranges::fill(bytes(data_, sent.size()), std::uint8_t{0});
    ASSERT_EQ(io(command(IoOpcode::kRead, 50, 2, kGuard | kReference, 50)), Status::kSuccess);
    EXPECT_TRUE(std::ranges::equal(bytes(data_, sent.size()), sent));
}

TEST_F(NvmeProtection, MetadataPointersThatAreWrongHaveTheirStatus) {
    bring_up_formatted(1);
    SubmissionEntry made = command(IoOpcode::kRead, 0, 1, 0, 0);
    made.mptr = metadata_ + 2;
    EXPECT_EQ(io(made), Status::kInvalidField);
    made.mptr = 0xFFFF'FFFF'FFFF'FFF8;
    EXPECT_EQ(io(made), Status::kDataTransferError);
    made.cdw12 |= kAct; // not used
    EXPECT_EQ(io(made), Status::kSuccess);
    EXPECT_EQ(io(command(IoOpcode::kRead, kBlocks, 1, 0, 0)), Status::kLbaOutOfRange);
}

TEST_F(NvmeProtection, FlushMakesVolumeAndFileStable) {
    bring_up_formatted(1);
    file_.operations.clear();
    ASSERT_EQ(io(block_command(IoOpcode::kFlush, 0, 1, 0)), Status::kSuccess);
    EXPECT_TRUE(std::ranges::count(volume_.operations, storage::BlockOperation::kFlush) == 1);
    EXPECT_TRUE(std::ranges::count(file_.operations, storage::BlockOperation::kFlush) == 1);
}

} // namespace
} // namespace touka::devices::nvme
