#pragma once

#include <string>
#include <vector>

#include "scsi/verify/recording.hpp"

namespace touka::scsi::verify {

/// A field of a response that is not the same by both ways.
struct Difference {
    std::string field{}; ///< "delivery", "status", "unit attention", "sense key", "additional sense code",
                         ///< "sense data", "residual", "data length", "data"
    std::string outside{}, inside{};
};

/// What the ways can tell.
struct Ways {
    bool outside_overflow = true, inside_overflow = true; ///< Recording::tells_overflow
    bool overrun = false; ///< a way that does not may fail where there was more data (Ignored::overrun)
};

/// A command that never came to an end is a difference, also when that is so both ways.
[[nodiscard]] std::vector<Difference> compare(const Response& outside, const Response& inside, const Ways& ways);

struct CommandDifferences {
    std::size_t number = 0; ///< of the command, from 1
    std::string name{};
    std::vector<Difference> differences{};
};

struct Report {
    std::size_t commands = 0;
    std::vector<CommandDifferences> different{};
    std::vector<std::string> outside_attentions{}, inside_attentions{}; ///< hexadecimal sense data

    [[nodiscard]] bool same() const { return different.empty(); }
};

/// All commands. A response that one side lacks is a difference; unit attentions that were there before the first
/// command are listed and not compared.
[[nodiscard]] Report compare(const Corpus& corpus, const Recording& outside, const Recording& inside);

/// A line for each difference, none for what is the same, and the numbers.
[[nodiscard]] std::string to_text(const Report& report);

} // namespace touka::scsi::verify
