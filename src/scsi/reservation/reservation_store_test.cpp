#include "scsi/reservation/reservation_store.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "scsi/reservation/reservation_text.hpp"

namespace touka::scsi {
namespace {

using spec::scsi::ProtocolIdentifier;
using Kind = StoreError::Kind;

PersistentReservationsState example() {
    const NexusName holder{{ProtocolIdentifier::kIscsi, "iqn.2026-01.test:a,i,0x00023d000001"}, 1};
    PersistentReservationsState state{.persists = true};
    state.registrations[holder] = 0x0123'4567'89AB'CDEF;
    state.registrations[{{ProtocolIdentifier::kFibreChannel, "2100001b32000001"}, 65535}] = 1;
    state.registrations[{{ProtocolIdentifier::kNone, "quotes \" and \\ and ] = ["}, 2}] = ~std::uint64_t{0};
    state.registrations[{{ProtocolIdentifier::kNone, std::string("\n\0\xFF\"", 4)}, 2}] = 2;
    state.reserve(ReservationType::kExclusiveAccessRegistrantsOnly, holder);
    return state;
}

class ReservationStoreTest : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "touka-reservation-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder = pattern;
        path = (folder / "unit.toml").string();
    }
    void TearDown() override { std::filesystem::remove_all(folder); }

    [[nodiscard]] std::string contents() const {
        std::ostringstream text;
        text << std::ifstream(path, std::ios::binary).rdbuf();
        return text.str();
    }
    void write(std::string_view text) const { std::ofstream(path, std::ios::binary) << text; }

    std::filesystem::path folder;
    std::string path;
};

TEST_F(ReservationStoreTest, WhatWasSavedIsFound) {
    ASSERT_TRUE(ReservationStore(path).save(example()));
    const auto found = ReservationStore(path).load();
    ASSERT_TRUE(found) << found.error().text;
    EXPECT_EQ(*found, example());
}

TEST_F(ReservationStoreTest, AnAllRegistrantsReservationIsFoundWithoutHolder) {
    auto state = example();
    state.reserve(ReservationType::kWriteExclusiveAllRegistrants, state.registrations.begin()->first);
    ASSERT_TRUE(ReservationStore(path).save(state));
    EXPECT_EQ(ReservationStore(path).load().value(), state);
}

TEST_F(ReservationStoreTest, WithoutFileThereAreNoReservations) {
    EXPECT_EQ(ReservationStore(path).load().value(), PersistentReservationsState{});
}

TEST_F(ReservationStoreTest, WhatDoesNotPersistIsNotFoundAgain) {
    ASSERT_TRUE(ReservationStore(path).save(example()));
    auto state = example();
    state.persists = false;
    ASSERT_TRUE(ReservationStore(path).save(state));
    EXPECT_EQ(ReservationStore(path).load().value(), PersistentReservationsState{});
}

TEST_F(ReservationStoreTest, TheFileIsForItsOwnerAndNothingIsLeftBeside) {
    ASSERT_TRUE(ReservationStore(path).save(example()));
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_F(ReservationStoreTest, AHalfWrittenNewFileOfAKilledProcessDoesNotMatter) {
    ASSERT_TRUE(ReservationStore(path).save(example()));
    std::ofstream(path + ".new") << "check = \"0000";
    EXPECT_EQ(ReservationStore(path).load().value(), example());
    ASSERT_TRUE(ReservationStore(path).save(PersistentReservationsState{.persists = true}));
    EXPECT_TRUE(ReservationStore(path).load().value().registrations.empty());
}

TEST_F(ReservationStoreTest, EveryTruncationIsRefused) {
    ASSERT_TRUE(ReservationStore(path).save(example()));
    const std::string text = contents();
    for (std::size_t length = 0; length < text.size(); ++length) {
        const auto found = parse_reservation_text(std::string_view(text).substr(0, length), "f");
        ASSERT_FALSE(found) << length;
        EXPECT_EQ(found.error().kind, Kind::kDamaged);
    }
}

TEST_F(ReservationStoreTest, EveryChangedByteIsRefused) {
    const std::string text = reservation_text(example());
    for (std::size_t i = 0; i < text.size(); ++i) {
        for (const char flip : {'\x01', '\x20'}) {
            std::string damaged = text;
            damaged[i] = static_cast<char>(damaged[i] ^ flip);
            EXPECT_FALSE(parse_reservation_text(damaged, "f")) << i;
        }
    }
}

TEST_F(ReservationStoreTest, AnEmptyFileIsDamagedAndTheErrorNamesIt) {
    write("");
    const auto found = ReservationStore(path).load();
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().kind, Kind::kDamaged);
    EXPECT_NE(found.error().text.find(path), std::string::npos);
}

TEST_F(ReservationStoreTest, AFileThatCannotBeReadIsNotTakenForNone) {
    std::filesystem::create_directory(path);
    const auto found = ReservationStore(path).load();
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().kind, Kind::kUnreadable);
}

TEST_F(ReservationStoreTest, AFailedSaveLeavesTheOldFile) {
    ASSERT_TRUE(ReservationStore(path).save(example()));
    std::filesystem::create_directory(path + ".new"); // nothing can be written there
    const auto saved = ReservationStore(path).save(PersistentReservationsState{.persists = true});
    ASSERT_FALSE(saved);
    EXPECT_EQ(saved.error().kind, Kind::kNotWritten);
    EXPECT_EQ(ReservationStore(path).load().value(), example());
}

TEST_F(ReservationStoreTest, WithoutFolderNothingIsSaved) {
    EXPECT_FALSE(ReservationStore((folder / "missing" / "unit.toml").string()).save(example()));
}

// Texts whose check value is right and that make no sense all the same.

/// The check value before a body, taken from an error-free text of the same function.
std::string checked(const std::string& body) {
    std::uint32_t crc = 0xFFFF'FFFF;
    for (const char c : body) {
        crc ^= static_cast<std::uint8_t>(c);
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB8'8320 : 0);
    }
    char head[32];
    std::snprintf(head, sizeof head, "check = \"%08x\"\n", ~crc);
    return head + body;
}

const std::string kHead = "version = 1\npersists = true\n";
const std::string kOne =
    "[[registration]]\nprotocol = \"iscsi\"\ninitiator = \"iqn.a\"\ntarget-port = 1\nkey = \"0x1\"\n";

std::string joined(std::initializer_list<std::string_view> parts) {
    std::string text;
    for (const std::string_view part : parts) text += part;
    return text;
}

TEST(ReservationText, AWellFormedTextIsRead) {
    const auto state = parse_reservation_text(checked(joined({kHead, "type = 1\n", kOne, "holder = true\n"})), "f");
    ASSERT_TRUE(state) << state.error().text;
    EXPECT_EQ(state->registrations.size(), 1u);
    EXPECT_EQ(state->reservation->type, ReservationType::kWriteExclusive);
}

TEST(ReservationText, NonsenseIsRefusedThoughItsCheckValueIsRight) {
    for (const std::string& body : {
             joined({"persists = true\n"}),                          // no version
             joined({"version = 1\n"}),                              // no word whether it persists
             joined({kHead, "type = 1\n"}),                          // nobody holds it
             joined({kHead, "type = 2\n", kOne}),                    // no such type
             joined({kHead, "type = 7\n"}),                          // all registrants, of which there are none
             joined({kHead, "type = 1\n", kOne}),                    // nobody holds it
             joined({kHead, kOne, "holder = true\n"}),               // a holder of nothing
             joined({kHead, "type = 7\n", kOne, "holder = true\n"}), // one holder of what all hold
             joined({kHead, kOne, kOne}),                            // twice
             joined({kHead, "[[registration]]\nprotocol = \"iscsi\"\ntarget-port = 1\nkey = \"0x1\"\n"}),
             joined({kHead,
                     "[[registration]]\nprotocol = \"tin-cans\"\ninitiator = \"a\"\ntarget-port = 1\nkey = \"0x1\"\n"}),
             joined(
                 {kHead, "[[registration]]\nprotocol = \"sas\"\ninitiator = \"a\"\ntarget-port = 0\nkey = \"0x1\"\n"}),
             joined({kHead,
                     "[[registration]]\nprotocol = \"sas\"\ninitiator = \"a\"\ntarget-port = 65536\nkey = \"0x1\"\n"}),
             joined(
                 {kHead, "[[registration]]\nprotocol = \"sas\"\ninitiator = \"a\"\ntarget-port = 1\nkey = \"0x0\"\n"}),
             joined({kHead, "[[registration]]\nprotocol = \"sas\"\ninitiator = \"a\"\ntarget-port = 1\nkey = \"1\"\n"}),
             joined(
                 {kHead,
                  "[[registration]]\nprotocol = \"sas\"\ninitiator-bytes = \"0g\"\ntarget-port = 1\nkey = \"0x1\"\n"}),
             joined({kHead, "registration = [1]\n"}),
             joined({kHead, "type = \n"}),
             joined({kHead, "type = \"1\"\n", kOne}),
             joined({kHead, "type = 1\n", kOne, "holder = 1\n"}),
             joined({kHead, "type = 7\n", kOne, "holder = false\n"}),
         }) {
        const auto state = parse_reservation_text(checked(body), "f");
        ASSERT_FALSE(state) << body;
        EXPECT_EQ(state.error().kind, Kind::kDamaged) << body;
    }
}

TEST(ReservationText, ALaterVersionIsToldApart) {
    const auto state = parse_reservation_text(checked("version = 2\npersists = true\n"), "f");
    ASSERT_FALSE(state);
    EXPECT_EQ(state.error().kind, Kind::kNewer);
}

} // namespace
} // namespace touka::scsi
