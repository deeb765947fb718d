// Holds a table against ACPICA's own compiler: it disassembles, compiles again without a warning to the same bytes, and
// reads as its golden file. TOUKA_UPDATE_GOLDEN=1 in the environment writes that anew.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>

namespace touka::platform::acpi {

namespace fs = std::filesystem;

/// A folder that goes away with the test.
class ScratchFolder {
public:
    ScratchFolder() {
        std::string pattern = (fs::temp_directory_path() / "touka-acpi-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~ScratchFolder() { fs::remove_all(path_); }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    [[nodiscard]] const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

struct Outcome {
    int status;
    std::string output;
};
inline Outcome run(const std::string& command) {
    std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen((command + " 2>&1").c_str(), "r"), [](FILE*) { return 0; });
    std::string output;
    std::array<char, 4096> buffer{};
    while (const auto count = std::fread(buffer.data(), 1, buffer.size(), pipe.get()))
        output.append(buffer.data(), count);
    return {::pclose(pipe.get()), output};
}

inline std::string read_text(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
inline void write_text(const fs::path& path, std::string_view text) { std::ofstream(path, std::ios::binary) << text; }

/// Without the comment at the top, which holds the compiler's version, the date and the path.
inline std::string without_banner(const std::string& source) {
    const auto end = source.find("*/");
    return end == std::string::npos ? source : source.substr(source.find('\n', end) + 1);
}

/// Skips the test where iasl is not installed.
/// @param golden_folder has SIGNATURE.dsl.
inline void check_with_iasl(const std::string& signature, std::span<const std::uint8_t> table,
                            const fs::path& golden_folder) {
    if (run("iasl -v").status != 0) GTEST_SKIP() << "iasl is not installed (Debian package acpica-tools)";
    const ScratchFolder scratch;
    const auto binary = scratch.path() / (signature + ".aml"), source = scratch.path() / (signature + ".dsl");
    const std::string bytes(table.begin(), table.end());
    write_text(binary, bytes);

    const auto disassembly = run("iasl -d " + binary.string());
    ASSERT_EQ(disassembly.status, 0) << disassembly.output;
    EXPECT_EQ(disassembly.output.find("Warning"), std::string::npos) << disassembly.output;
    EXPECT_EQ(disassembly.output.find("Invalid"), std::string::npos) << disassembly.output;
    fs::remove(binary);
    const auto compilation = run("iasl -oa -p " + (scratch.path() / signature).string() + " " + source.string());
    ASSERT_EQ(compilation.status, 0) << compilation.output;
    EXPECT_NE(compilation.output.find("0 Errors, 0 Warnings"), std::string::npos) << compilation.output;
    const auto text = without_banner(read_text(source));
    // The compiler writes its own name and version into the header (bytes 28 to 35) and adapts the checksum (9).
    auto compiled = read_text(binary);
    ASSERT_EQ(compiled.size(), bytes.size());
    if (signature != "FACS") {
        compiled.replace(28, 8, bytes, 28, 8);
        compiled[9] = bytes[9];
    }
    EXPECT_TRUE(compiled == bytes) << "compiled again, the table is not the same";

    const auto golden = golden_folder / (signature + ".dsl");
    if (std::getenv("TOUKA_UPDATE_GOLDEN") != nullptr) write_text(golden, text);
    EXPECT_EQ(text, read_text(golden)) << "TOUKA_UPDATE_GOLDEN=1 writes " << golden << " anew";
}

} // namespace touka::platform::acpi
