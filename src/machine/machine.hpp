// One virtual machine: built from a configuration, run to its end. The only place that knows concrete devices.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "machine/config.hpp"
#include "machine/machine_error.hpp"
#include "machine/outcome.hpp"
#include "machine/slot_question.hpp"
#include "runtime/byte_stream.hpp"

namespace touka::machine {

/// Everything that a machine needs from whoever runs it.
struct MachineHost {
    /// The serial port's other end; outlives the machine.
    runtime::ByteStream* console = nullptr;
};

/// Owns the graph of everything. create() and run() are one control thread's.
class Machine {
public:
    /// Builds everything and runs nothing. @param config validated.
    [[nodiscard]] static std::expected<std::unique_ptr<Machine>, MachineError> create(const MachineConfig& config,
                                                                                      const MachineHost& host);
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    /// One line for the user: which engine runs this machine and why.
    [[nodiscard]] const std::string& engine_note() const;

    /// Boots and runs to the end. Once.
    [[nodiscard]] Outcome run();
    /// Presses the power button; the guest may take its time, or not react at all. Any thread, also before run().
    void request_shutdown();
    /// Ends the machine now, as pulling the plug does. Any thread.
    void stop();
    /// Asks about the slots. Any thread, also before run().
    /// @param done gets the answer, on the control thread; destroyed uncalled when the machine ends before.
    void ask(SlotQuestion question, std::function<void(SlotAnswer)> done);
    /// What is in the slots: configured with this, a machine has the same cards in the same ones. After run().
    [[nodiscard]] std::vector<CardConfig> cards() const;
    /// After kCrashed, kFailed and kDiffered: text for the user, several lines.
    [[nodiscard]] std::string failure() const;
    /// For --stats: what processors met that they could not do, instructions and registers by name; what functions of
    /// others went through this process for. After run().
    [[nodiscard]] std::string statistics() const;

private:
    class Parts;
    explicit Machine(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

} // namespace touka::machine
