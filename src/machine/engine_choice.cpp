#include "machine/engine_choice.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <fstream>
#include <utility>

#include "cpu/interpreter/interpreter_engine.hpp"
#include "cpu/kvm/kvm_measure.hpp"
#include "cpu/translator/translation_log.hpp"
#include "cpu/translator/translator_engine.hpp"

namespace touka::machine {

namespace {

using cpu::interpreter::InterpreterEngine;
using cpu::kvm::KvmEngine;
using cpu::translator::Checking;
using cpu::translator::TranslatorEngine;

std::unexpected<MachineError> no_engine(std::string text) {
    return std::unexpected(MachineError{MachineErrorKind::kNoEngine, std::move(text)});
}

std::expected<ChosenEngine, MachineError> make_kvm(std::uint32_t vcpu_count, memory::GuestMemory& memory,
                                                   std::string note) {
    auto engine = KvmEngine::create(memory, vcpu_count);
    if (!engine) return no_engine(engine.error().text);
    KvmEngine* kvm = engine->get();
    return ChosenEngine{std::move(*engine), kvm, nullptr, std::move(note)};
}

std::expected<ChosenEngine, MachineError> make_interpreter(memory::GuestMemory& memory, std::string note) {
    auto engine = InterpreterEngine::create(memory);
    if (!engine)
        return no_engine("this host's processor lacks instructions that the interpreter needs (XSAVE, SSE4.2)");
    return ChosenEngine{std::move(*engine), nullptr, nullptr, std::move(note)};
}

/// What the user wants written down of `engine`'s code.
std::expected<void, MachineError> open_logs(const TranslationLogs& logs, TranslatorEngine& engine) {
    using cpu::translator::TranslationLog;
    const auto open = [&](const std::string& path, TranslationLog::Text text) -> std::expected<void, MachineError> {
        auto file = std::make_unique<std::ofstream>(path);
        if (!*file)
            return std::unexpected(
                MachineError{MachineErrorKind::kUnusable, fmt::format("{} cannot be written", path)});
        engine.observe(std::make_unique<TranslationLog>(std::move(file), text));
        return {};
    };
    if (!logs.blocks.empty())
        if (auto opened = open(logs.blocks, &cpu::translator::block_dump); !opened) return opened;
    if (!logs.perf_map) return {};
    return open(fmt::format("/tmp/perf-{}.map", ::getpid()), &cpu::translator::perf_map_line);
}

std::expected<ChosenEngine, MachineError> make_translator(const TranslationLogs& logs, memory::GuestMemory& memory,
                                                          std::string note, Checking checking = Checking::kOff) {
    auto engine = TranslatorEngine::create(memory, checking);
    if (!engine)
        return no_engine("the translator needs AVX2 and BMI2 of this host's processor; use --engine interpreter");
    if (auto opened = open_logs(logs, **engine); !opened) return std::unexpected(std::move(opened.error()));
    return ChosenEngine{std::move(*engine), nullptr, nullptr, std::move(note)};
}

std::expected<ChosenEngine, MachineError> choose_one(const MachineConfig& config, memory::GuestMemory& memory) {
    const std::uint32_t vcpu_count = config.cpu_count;
    const TranslationLogs& logs = config.translation_logs;
    switch (config.engine) {
        case EngineChoice::kKvm: return make_kvm(vcpu_count, memory, "engine: kvm, as asked");
        case EngineChoice::kInterpreter: return make_interpreter(memory, "engine: interpreter, as asked");
        case EngineChoice::kTranslator:
            if (config.verify_translation)
                return make_translator(logs, memory, "engine: translator, each block verified by the interpreter",
                                       Checking::kEachBlock);
            return make_translator(logs, memory, "engine: translator, as asked");
        case EngineChoice::kAuto: break;
    }
    const auto measured = cpu::kvm::measure_kvm();
    if (measured.usable()) {
        return make_kvm(vcpu_count, memory,
                        fmt::format("engine: kvm ({:.0f} million kernel instructions a second measured)",
                                    measured.instructions_per_second / 1e6));
    }
    auto translator = make_translator(logs, memory, fmt::format("engine: translator, because {}", measured.reason));
    if (translator) return translator;
    return make_interpreter(
        memory, fmt::format("engine: interpreter, because {}, and {}", measured.reason, translator.error().text));
}

} // namespace

std::expected<ChosenEngine, MachineError> choose_engine(const MachineConfig& config, memory::GuestMemory& memory) {
    auto first = choose_one(config, memory);
    if (!first || config.engine_switches_ms.empty()) return first;
    // Each may make code of pages that the other lets code store to.
    if (!memory.guard_stores()) return no_engine("the host gives no address space for memory mapped once more");
    auto second = config.engine == EngineChoice::kTranslator ? make_interpreter(memory, {})
                                                             : make_translator(config.translation_logs, memory, {});
    if (!second) return second;
    std::string note = fmt::format("{}, and {} in turn", first->note, second->engine->name());
    auto both = std::make_unique<cpu::switching::SwitchableEngine>(std::move(first->engine), std::move(second->engine));
    auto* switchable = both.get();
    return ChosenEngine{std::move(both), nullptr, switchable, std::move(note)};
}

} // namespace touka::machine
