#include "machine/engine_choice.hpp"

#include <fmt/format.h>

#include <utility>

#include "cpu/interpreter/interpreter_engine.hpp"
#include "cpu/kvm/kvm_measure.hpp"
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
    return ChosenEngine{std::move(*engine), kvm, std::move(note)};
}

std::expected<ChosenEngine, MachineError> make_interpreter(memory::GuestMemory& memory, std::string note) {
    auto engine = InterpreterEngine::create(memory);
    if (!engine)
        return no_engine("this host's processor lacks instructions that the interpreter needs (XSAVE, SSE4.2)");
    return ChosenEngine{std::move(*engine), nullptr, std::move(note)};
}

std::expected<ChosenEngine, MachineError> make_translator(memory::GuestMemory& memory, std::string note,
                                                          Checking checking = Checking::kOff) {
    auto engine = TranslatorEngine::create(memory, checking);
    if (!engine)
        return no_engine("the translator needs AVX2 and BMI2 of this host's processor, and address space for guest RAM "
                         "twice more; use --engine interpreter");
    return ChosenEngine{std::move(*engine), nullptr, std::move(note)};
}

} // namespace

std::expected<ChosenEngine, MachineError> choose_engine(const MachineConfig& config, memory::GuestMemory& memory) {
    switch (config.engine) {
        case EngineChoice::kKvm: return make_kvm(config.cpu_count, memory, "engine: kvm, as asked");
        case EngineChoice::kInterpreter: return make_interpreter(memory, "engine: interpreter, as asked");
        case EngineChoice::kTranslator:
            if (config.verify_translation)
                return make_translator(memory, "engine: translator, each block verified by the interpreter",
                                       Checking::kEachBlock);
            return make_translator(memory, "engine: translator, as asked");
        case EngineChoice::kAuto: break;
    }
    const auto measured = cpu::kvm::measure_kvm();
    if (measured.usable()) {
        return make_kvm(config.cpu_count, memory,
                        fmt::format("engine: kvm ({:.0f} million kernel instructions a second measured)",
                                    measured.instructions_per_second / 1e6));
    }
    auto translator = make_translator(memory, fmt::format("engine: translator, because {}", measured.reason));
    if (translator) return translator;
    return make_interpreter(
        memory, fmt::format("engine: interpreter, because {}, and {}", measured.reason, translator.error().text));
}

} // namespace touka::machine
