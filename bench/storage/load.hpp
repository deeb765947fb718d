// What the load generators of ./dev bench storage have in common: the order of the reads, and what is counted of them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace touka::bench {

inline constexpr std::uint32_t kReadBytes = 4096;

struct LoadOptions {
    unsigned depth = 1;      ///< reads in flight
    double seconds = 2;      ///< that are counted
    double warm_up = 0.5;    ///< seconds before them
    std::uint64_t seed = 1;  ///< of the places that are read
    std::uint64_t bytes = 0; ///< of the volume
    pid_t server = 0;        ///< whose processor time is counted; 0: this process's
    unsigned depth_limit;    ///< that the generator can do

    /// Adds them to the command line.
    explicit LoadOptions(CLI::App& app, unsigned largest_depth);
};

/// One run: where the next read goes, when it is over, and what it came to.
class LoadRun {
public:
    explicit LoadRun(const LoadOptions& options);

    /// Where the next read starts: whole multiples of kReadBytes, the same sequence for the same seed.
    [[nodiscard]] std::uint64_t next_offset();
    /// A read has ended. @return whether another is wanted.
    [[nodiscard]] bool ended(bool good);
    [[nodiscard]] bool over() const { return over_; }
    /// Prints one line: LOAD reads seconds server-processor-seconds failures. @return the program's exit status.
    [[nodiscard]] int report() const;

private:
    [[nodiscard]] double server_seconds() const;

    std::uint64_t places_, state_;
    double counted_seconds_;
    clockid_t server_clock_;
    double begins_, began_ = 0, ended_ = 0;
    double server_began_ = 0, server_ended_ = 0;
    std::uint64_t reads_ = 0, failures_ = 0;
    bool counting_ = false, over_ = false;
};

/// Says why there is nothing to report. @return the exit status for it.
[[nodiscard]] int fail(const std::string& reason);

} // namespace touka::bench
