// A controller with a driver that does anything: the input is a list of 16-byte steps that write registers, memory,
// commands and doorbells, and hold the volume's completions back. Whatever it did, the controller works after a reset.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "devices/nvme/test_driver.hpp"

using namespace touka;
using namespace touka::devices::nvme;
using spec::nvme::SubmissionEntry;

namespace {

struct Step {
    std::uint8_t what;
    std::uint8_t opcode;
    std::uint16_t place;
    std::uint32_t value;
    std::uint64_t address;
};
static_assert(sizeof(Step) == 16);

class Machine {
public:
    Machine() {
        (void)subsystem_.add_namespace(test::namespace_on(volume_));
        NamespaceConfiguration protected_one = test::namespace_on(protected_volume_);
        protected_one.protection =
            ProtectedNamespace::open(machine_.reactor, protected_one.open, test::namespace_on(metadata_).open).value();
        (void)subsystem_.add_namespace(std::move(protected_one));
        function_ = std::make_unique<NvmePciFunction>(
            "nvme@00:03.0", subsystem_, NvmePciConfiguration{.controller = {.queue_pairs = 4, .vectors = 4}},
            machine_.context());
        driver_ = std::make_unique<test::TestDriver>(machine_, *function_);
        (void)driver_->bring_up();
        scratch_ = machine_.allocate(kScratchBytes);
        constexpr std::uint32_t kType1With8 = 1u << 5 | 2;
        (void)driver_->run(test::admin_command(spec::nvme::AdminOpcode::kFormatNvm, 2, 0, kType1With8));
    }
    void run(const Step& step) {
        switch (step.what % 8) {
            case 0: driver_->write(step.place % 0x1100, step.address, 4u << (step.opcode & 1)); break;
            case 1: (void)driver_->read(step.place % 0x1100, 1u << (step.opcode % 4)); break;
            case 2: driver_->store(scratch_ + step.place % (kScratchBytes - 7), memory_address(step)); break;
            case 3: submit(driver_->io, step); break;
            case 4: submit(driver_->admin, step); break;
            case 5:
                driver_->write(spec::nvme::kDoorbells + 4u * (step.place % 8), step.value % 64);
                driver_->settle();
                break;
            case 6: command_ = step; break;
            default:
                volume_.held = (step.opcode & 1) != 0;
                protected_volume_.held = (step.opcode & 2) != 0;
                metadata_.held = (step.opcode & 4) != 0;
                complete_held();
                break;
        }
        while (driver_->take(driver_->io)) {
        }
        while (driver_->take(driver_->admin)) {
        }
    }
    void check_alive() {
        volume_.held = protected_volume_.held = metadata_.held = false;
        complete_held();
        function_->pause();
        function_->reset();
        function_->resume();
        driver_->settle();
        machine_.next_free = scratch_ + kScratchBytes;
        if (!driver_->bring_up()) std::abort();
        const auto status = driver_->run(driver_->io, test::block_command(spec::nvme::IoOpcode::kRead, 0, 1, scratch_));
        // What is reserved belongs to hosts, and formats stay, as with a real device.
        if (status == test::TestDriver::kPending) std::abort();
    }

private:
    static constexpr std::uint64_t kScratchBytes = 32 << 10;

    void complete_held() {
        machine_.reactor.run_and_wait([this] {
            volume_.complete_all();
            protected_volume_.complete_all();
            metadata_.complete_all();
        });
        driver_->settle();
    }
    /// Mostly addresses that exist: in the scratch memory; sometimes anything.
    [[nodiscard]] std::uint64_t memory_address(const Step& step) const {
        return step.value % 16 != 0 ? scratch_ + step.address % kScratchBytes : step.address;
    }
    /// A command of this step's fields, and of those that step 6 left.
    void submit(test::TestDriver::Queue& queue, const Step& step) {
        SubmissionEntry command{};
        command.opcode = step.opcode;
        command.flags = static_cast<std::uint8_t>((step.place >> 8) & 0xC3);
        command.nsid = (step.place & 0x3F) == 0x3F ? 0xFFFF'FFFF : step.place & 0x3;
        command.prp1 = memory_address(step);
        command.prp2 = (command.flags & 0xC0) != 0 ? command_.address : scratch_ + command_.address % kScratchBytes;
        command.cdw10 = step.value >> 4;
        command.cdw11 = command_.place;
        command.cdw12 = command_.value;
        command.cdw13 = command_.opcode;
        command.mptr = memory_address(command_);
        command.cdw14 = command.cdw10 + (step.place >> 7 & 1);
        command.cdw15 = static_cast<std::uint32_t>(command_.address >> 32);
        // Without the doorbell, for pairs: the next one rings it.
        (void)((step.place & 0x40) != 0 ? driver_->put(queue, command) : driver_->submit(queue, command));
    }

    test::TestMachine machine_;
    storage::MemoryVolume volume_{1 << 20}, protected_volume_{1 << 20};
    storage::MemoryVolume metadata_{ProtectedNamespace::file_bytes(protected_volume_.geometry())};
    Subsystem subsystem_{{.nqn = "nqn.2014-08.org.example:fuzz", .serial = "F", .namespace_limit = 3}};
    std::unique_ptr<NvmePciFunction> function_;
    std::unique_ptr<test::TestDriver> driver_;
    std::uint64_t scratch_ = 0;
    Step command_{};
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Machine machine;
    for (; size >= sizeof(Step); data += sizeof(Step), size -= sizeof(Step)) {
        Step step;
        std::memcpy(&step, data, sizeof step);
        machine.run(step);
    }
    machine.check_alive();
    return 0;
}
