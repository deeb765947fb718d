#include "machine/machine.hpp"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "machine/cards.hpp"
#include "machine/chipset.hpp"
#include "machine/config_validation.hpp"
#include "machine/engine_choice.hpp"
#include "machine/engine_switches.hpp"
#include "machine/function_paths.hpp"
#include "machine/interrupt_system.hpp"
#include "machine/machine_events.hpp"
#include "machine/machine_iommu.hpp"
#include "machine/peripherals.hpp"
#include "machine/processors.hpp"
#include "machine/system_bus.hpp"
#include "memory/device_memory.hpp"
#include "memory/guest_memory.hpp"
#include "platform/acpi/acpi_tables.hpp"
#include "platform/boot/kernel_loader.hpp"
#include "platform/boot/memory_map.hpp"
#include "platform/boot/smbios.hpp"
#include "platform/pci/pci_root.hpp"
#include "runtime/reactor.hpp"

namespace touka::machine {

namespace {

MachineError to_machine_error(memory::MemoryError error, std::uint64_t size_bytes) {
    switch (error) {
        case memory::MemoryError::kSizeNotPageMultiple:
            return {MachineErrorKind::kConfiguration,
                    fmt::format("memory of {} bytes is not a multiple of 4 KiB", size_bytes)};
        case memory::MemoryError::kTooLittleHostMemory: break;
    }
    return {MachineErrorKind::kUnusable,
            fmt::format("this host cannot provide {} MiB of memory; ask for less with --memory", size_bytes >> 20)};
}

platform::PlatformLayout make_layout(const MachineConfig& config, const memory::GuestMemory& memory) {
    platform::PlatformLayout layout;
    const platform::PciWindow high = platform::pci_memory64_window(memory.top());
    layout.pci_window_64 = {spec::GuestAddress{high.first}, high.length_bytes};
    layout.apic_ids.clear();
    for (std::uint32_t id = 0; id < config.cpu_count; ++id) layout.apic_ids.push_back(id);
    return layout;
}

platform::PciRootConfig make_root_config(const memory::GuestMemory& memory, platform::GsiLines& lines,
                                         platform::IoHandler& reset_control) {
    platform::PciRootConfig config;
    config.memory64 = platform::pci_memory64_window(memory.top());
    config.reset_control = &reset_control;
    for (std::uint32_t i = 0; i < config.interrupt_inputs.size(); ++i) {
        config.interrupt_inputs[i] = &lines.add_source(platform::kFirstPciGsi + i);
    }
    return config;
}

} // namespace

/// The graph; destroyed from its last member to its first.
class Machine::Parts {
public:
    static std::expected<std::unique_ptr<Parts>, MachineError> build(const MachineConfig& config,
                                                                     const MachineHost& host) {
        auto memory = memory::GuestMemory::create(config.memory_bytes);
        if (!memory) return std::unexpected(to_machine_error(memory.error(), config.memory_bytes));
        auto engine = choose_engine(config, **memory);
        if (!engine) return std::unexpected(engine.error());
        std::unique_ptr<Parts> parts(new Parts(config, host, std::move(*memory), std::move(*engine)));

        auto peripherals =
            Peripherals::create(config, {*parts->memory_, parts->root_, parts->paths_, *parts->engine_.engine,
                                         parts->io_, *host.console, parts->engine_.kvm == nullptr});
        if (!peripherals) return std::unexpected(peripherals.error());
        parts->peripherals_ = std::move(*peripherals);
        auto cards = Cards::create(config, parts->card_context());
        if (!cards) return std::unexpected(cards.error());
        parts->cards_ = std::move(*cards);
        if (parts->iommu_) parts->iommu_->unit().set_caching_mode(parts->cards_->needs_caching_mode());

        auto processors = Processors::create(*parts->engine_.engine, config.cpu_count, parts->bus_, *parts->interrupts_,
                                             parts->events_);
        if (!processors) return std::unexpected(processors.error());
        parts->processors_ = std::move(*processors);

        // Loaded now, so that a damaged kernel is told before anything runs.
        if (auto loaded = parts->power_on(); !loaded) return std::unexpected(loaded.error());
        return parts;
    }

    Outcome run() {
        for (platform::Device* device : devices()) device->start();
        processors_->resume();
        switches_.start();
        for (;;) {
            switch (events_.take()) {
                case MachineEvent::kPoweredOff: return end(Outcome::kPoweredOff);
                case MachineEvent::kResetByGuest: return end(Outcome::kReset);
                case MachineEvent::kStopRequested: return end(Outcome::kStopped);
                case MachineEvent::kProcessorFailed: return end(Outcome::kFailed);
                case MachineEvent::kProcessorDiffered: return end(Outcome::kDiffered);
                case MachineEvent::kProcessorShutdown: return end(Outcome::kCrashed);
                case MachineEvent::kWork: events_.take_work()(); break;
                case MachineEvent::kShutdownRequested: chipset_.acpi().press_power_button(); break;
                case MachineEvent::kEngineSwitchDue:
                    if (!switch_engine()) return end(Outcome::kFailed);
                    break;
            }
        }
    }

    MachineEvents& events() { return events_; }
    [[nodiscard]] std::vector<CardConfig> cards() const { return cards_->configuration(); }
    [[nodiscard]] SlotAnswer answer(const SlotQuestion& question) {
        SlotAnswer answer;
        if (const auto* plug = std::get_if<PlugCard>(&question)) {
            const auto slot = this->plug(*plug);
            if (slot) answer.slot = *slot;
            if (!slot) answer.error = slot.error();
        } else if (const auto* eject = std::get_if<EjectCard>(&question)) {
            answer.slot = eject->slot;
            if (const auto asked = cards_->eject(eject->slot); !asked) answer.error = asked.error();
        } else if (const auto* pull = std::get_if<PullCard>(&question)) {
            answer.slot = pull->slot;
            if (const auto pulled = cards_->pull(pull->slot); !pulled) answer.error = pulled.error();
        }
        answer.slots = cards_->report();
        return answer;
    }
    [[nodiscard]] const std::string& engine_note() const { return engine_.note; }
    [[nodiscard]] std::string failure() const { return engine_.engine->failure() + processors_->failure(); }
    [[nodiscard]] std::string statistics() const {
        std::string text = processors_->report() + cards_->statistics();
        if (engine_.switchable)
            text += fmt::format("{} engine switches, now {}; the processors stood still for {} us at most\n",
                                switch_count_, engine_.engine->name(), longest_switch_.count());
        return text;
    }

private:
    Parts(const MachineConfig& config, const MachineHost& host, std::unique_ptr<memory::GuestMemory> memory,
          ChosenEngine engine)
        : config_(config), memory_(std::move(memory)), engine_(std::move(engine)),
          layout_(make_layout(config, *memory_)),
          interrupts_(engine_.kvm ? make_kernel_interrupts(*engine_.kvm)
                                  : make_software_interrupts(config.cpu_count, engine_.engine->tsc_frequency_hz(),
                                                             timers_, bus_.memory(), bus_.ports())),
          chipset_(bus_, *interrupts_, timers_, *host.console, events_),
          root_(bus_.memory(), bus_.ports(),
                make_root_config(*memory_, interrupts_->lines(), chipset_.reset_control_port())),
          iommu_(config.iommu ? std::make_unique<MachineIommu>(*memory_, *interrupts_, timers_, bus_.memory(),
                                                               Cards::may_pass_through(config))
                              : nullptr),
          paths_(*memory_, interrupts_->msi(), iommu_ ? &iommu_->unit() : nullptr),
          switches_(config.engine_switches_ms, timers_, [this] { events_.put(MachineEvent::kEngineSwitchDue); }) {
        if (engine_.kvm) device_memory_.set_listener(&engine_.kvm->device_memory());
    }

    [[nodiscard]] CardContext card_context() {
        return {.memory = *memory_,
                .device_memory = device_memory_,
                .root = root_,
                .paths = paths_,
                .reactor = io_,
                .post = [this](std::function<void()> work) { events_.post(std::move(work)); },
                .accesses_over = [this] { processors_->step_out(); }};
    }

    /// What could not have been configured is not plugged, either.
    [[nodiscard]] std::expected<std::uint16_t, std::string> plug(const PlugCard& wanted) {
        MachineConfig whole = config_;
        whole.free_slots = 0;
        whole.cards = cards_->configuration();
        std::erase_if(whole.cards, [](const CardConfig& card) { return std::holds_alternative<EmptySlot>(card); });
        if (whole.cards.size() < kCardSlotLimit) whole.cards.push_back(wanted.card);
        if (const auto valid = validate(whole); !valid) return std::unexpected(valid.error().text);
        return cards_->plug(wanted);
    }

    /// Everything with a state except the processors, in the order of restoring.
    [[nodiscard]] std::vector<platform::Device*> devices() {
        std::vector<platform::Device*> all = interrupts_->devices();
        const auto append = [&all](const auto& more) { all.insert(all.end(), more.begin(), more.end()); };
        append(chipset_.devices());
        append(root_.chipset());
        all.push_back(&root_);
        if (iommu_) all.push_back(&iommu_->unit());
        append(peripherals_->devices());
        append(cards_->devices());
        return all;
    }

    /// Kernel, tables and boot processor as at the start. @pre paused.
    std::expected<void, MachineError> power_on() {
        std::vector<platform::acpi::TableBytes> more;
        if (iommu_) more.push_back(iommu_->table(layout_, paths_.with_translation()));
        const auto tables = platform::acpi::make_acpi_tables(layout_, platform::boot::kAcpiArea, std::move(more));
        if (!tables || !platform::acpi::write_acpi_tables(*memory_, *tables)) {
            return std::unexpected(MachineError{MachineErrorKind::kFailed, "the ACPI tables do not fit their area"});
        }
        if (!platform::boot::write_smbios(*memory_, {.name = config_.name, .version = {}})) {
            return std::unexpected(MachineError{MachineErrorKind::kFailed, "the SMBIOS tables do not fit their area"});
        }
        platform::boot::BootParameters parameters;
        parameters.command_line = config_.command_line;
        parameters.rsdp = tables->rsdp;
        std::array<std::byte, 32> seed{};
        if (::getrandom(seed.data(), seed.size(), 0) == static_cast<ssize_t>(seed.size())) {
            parameters.random_seed = seed;
        }
        const auto kernel = platform::boot::load_kernel(*memory_, layout_, config_.kernel, config_.initrd, parameters);
        if (!kernel) return std::unexpected(MachineError{MachineErrorKind::kUnusable, describe(kernel.error())});
        return processors_->reset(kernel->entry);
    }

    /// @return false: the other engine does not take over.
    bool switch_engine() {
        using Clock = std::chrono::steady_clock;
        const Clock::time_point start = Clock::now();
        processors_->pause();
        if (!engine_.switchable->switch_over()) return false;
        processors_->resume();
        ++switch_count_;
        longest_switch_ =
            std::max(longest_switch_, std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start));
        return true;
    }

    Outcome end(Outcome outcome) {
        processors_->pause();
        for (platform::Device* device : devices()) device->pause();
        return outcome;
    }

    MachineConfig config_;
    MachineEvents events_;
    runtime::Reactor timers_{"timers"};
    runtime::Reactor io_{"io"};
    std::unique_ptr<memory::GuestMemory> memory_;
    ChosenEngine engine_;
    memory::DeviceMemoryMap device_memory_{memory_->ranges()};
    // Outlives the chips and devices below, whose alarms and completions interrupt processors until they are gone;
    // processors that do not run touch nothing of theirs.
    std::unique_ptr<Processors> processors_;
    platform::PlatformLayout layout_;
    SystemBus bus_;
    std::unique_ptr<InterruptSystem> interrupts_;
    Chipset chipset_;
    platform::PciRoot root_;
    std::unique_ptr<MachineIommu> iommu_; // null: none
    FunctionPaths paths_;
    std::unique_ptr<Peripherals> peripherals_;
    std::unique_ptr<Cards> cards_;
    EngineSwitches switches_;
    std::uint64_t switch_count_ = 0;
    std::chrono::microseconds longest_switch_{0};
};

Machine::Machine(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Machine::~Machine() = default;

std::expected<std::unique_ptr<Machine>, MachineError> Machine::create(const MachineConfig& config,
                                                                      const MachineHost& host) {
    auto parts = Parts::build(config, host);
    if (!parts) return std::unexpected(parts.error());
    return std::unique_ptr<Machine>(new Machine(std::move(*parts)));
}

const std::string& Machine::engine_note() const { return parts_->engine_note(); }
Outcome Machine::run() { return parts_->run(); }
void Machine::request_shutdown() { parts_->events().put(MachineEvent::kShutdownRequested); }
void Machine::stop() { parts_->events().put(MachineEvent::kStopRequested); }
void Machine::ask(SlotQuestion question, std::function<void(SlotAnswer)> done) {
    parts_->events().post([parts = parts_.get(), question = std::move(question), done = std::move(done)] {
        done(parts->answer(question));
    });
}
std::vector<CardConfig> Machine::cards() const { return parts_->cards(); }
std::string Machine::failure() const { return parts_->failure(); }
std::string Machine::statistics() const { return parts_->statistics(); }

} // namespace touka::machine
