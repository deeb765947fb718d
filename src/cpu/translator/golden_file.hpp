// Files that say what host code guest code becomes: golden/*.golden. For tests.
#pragma once

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <source_location>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/translator/block_fixture.hpp"
#include "cpu/translator/listing.hpp"

namespace touka::cpu::translator {

/// A case: a title line "== name", with "[user]" for code of CPL 3, "[whole]" to show entries and stubs as well and
/// "[avx512]" where the host must have AVX-512, and
/// the lines up to the next one. What a person wrote are the title, comments ("#") and lines that begin with the hex
/// bytes of guest instructions, split as it comes; disassembly and indented lines are generated.
struct GoldenCase {
    std::string title, comments;
    std::vector<std::uint8_t> code;
    std::string text; ///< as the file has it, with everything

    [[nodiscard]] bool has_option(std::string_view option) const { return title.find(option) != std::string::npos; }
    /// The text as it should be.
    [[nodiscard]] std::string generate(BlockMaker& maker) const {
        std::string made = title + comments;
        const auto detail = has_option("[whole]") ? Listing::Detail::kWhole : Listing::Detail::kMain;
        const auto mode = has_option("[user]") ? BlockMode::kUser : BlockMode::kSupervisor;
        maker.translate(code, mode, [&](const TranslatedBlock& block) { made += Listing(block, detail).text(); });
        return made + "\n";
    }
};

class GoldenFile {
public:
    explicit GoldenFile(const std::filesystem::path& path) {
        std::ifstream file(path);
        for (std::string line; std::getline(file, line);) take(line + "\n");
    }

    [[nodiscard]] const std::string& head() const { return head_; }
    [[nodiscard]] const std::vector<GoldenCase>& cases() const { return cases_; }

    /// All there are, beside this file.
    [[nodiscard]] static std::vector<std::filesystem::path> paths() {
        const std::filesystem::path here = std::source_location::current().file_name();
        std::vector<std::filesystem::path> found;
        for (const auto& entry : std::filesystem::directory_iterator(here.parent_path() / "golden"))
            if (entry.path().extension() == ".golden") found.push_back(entry.path());
        std::ranges::sort(found);
        return found;
    }

private:
    void take(const std::string& line) {
        if (line.starts_with("== ")) {
            cases_.push_back({.title = line, .comments = {}, .code = {}, .text = line});
            return;
        }
        if (cases_.empty()) {
            head_ += line;
            return;
        }
        GoldenCase& last = cases_.back();
        last.text += line;
        if (line.starts_with('#')) last.comments += line;
        if (std::isxdigit(static_cast<unsigned char>(line.front())) != 0) take_bytes(line, last.code);
    }
    static void take_bytes(std::string_view line, std::vector<std::uint8_t>& code) {
        std::istringstream words{std::string(line.substr(0, line.find(';')))};
        for (unsigned byte = 0; words >> std::hex >> byte;) code.push_back(static_cast<std::uint8_t>(byte));
    }

    std::string head_;
    std::vector<GoldenCase> cases_;
};

} // namespace touka::cpu::translator
