#pragma once

namespace touka::runtime {

/// Puts a terminal into raw mode for as long as it lives: keys arrive one by one, unechoed, and Ctrl-C is a byte.
/// Output processing stays on, so that the program's own messages still start at the left margin.
/// One at a time in a process. Also restored by exit(); a handler of deadly signals may call `restore`.
/// Absent: raw mode again after the process was stopped and continued.
class RawTerminal {
public:
    /// Does nothing when the descriptor is no terminal, or one in whose background the process runs (changing
    /// it then would stop the process).
    explicit RawTerminal(int fd);
    ~RawTerminal() { restore(); }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

    [[nodiscard]] bool active() const { return active_; }
    /// Gives the terminal back as it was found. Any thread, async-signal-safe, harmless when called twice.
    static void restore() noexcept;

private:
    bool active_ = false;
};

/// Is the descriptor a terminal that this process may read and change, not one in whose background it runs?
[[nodiscard]] bool in_foreground_of(int fd);

} // namespace touka::runtime
