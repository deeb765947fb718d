// Initiators that send a tape drive anything, in any order: every command is answered once, and the image stays a tape.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "scsi/tape/memory_tape_file.hpp"
#include "scsi/tape/tape_unit.hpp"
#include "scsi/tape/test_worker.hpp"
#include "scsi/test_task.hpp"

namespace {

using namespace touka::scsi;

void require(bool condition) {
    if (!condition) std::abort();
}

constexpr std::size_t kCdbBytes = 16, kCommandBytes = kCdbBytes + 1, kCommandLimit = 200;

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto contents = std::make_shared<MemoryTapeFile::Contents>();
    TapeUnit::Configuration configuration;
    configuration.identity.serial = "FUZZ";
    TapeUnit unit(std::make_unique<TestWorker>(), configuration,
                  [&](const Cartridge&) -> std::expected<std::unique_ptr<TapeFile>, std::string> {
                      return std::make_unique<MemoryTapeFile>(contents);
                  });
    Nexus nexus;
    unit.server().attach(nexus);
    unit.insert({.capacity = {.capacity_bytes = 100'000, .early_warning_bytes = 1000}}, [](const auto&) {});
    for (std::size_t i = 0; i < kCommandLimit && size >= kCommandBytes; ++i) {
        const std::size_t length = std::min<std::size_t>(data[kCdbBytes] * std::size_t{4}, size - kCommandBytes);
        TestTask task(nexus, {data, data + kCdbBytes}, {data + kCommandBytes, data + kCommandBytes + length}, 1000);
        unit.server().submit(task);
        require(task.completed() && task.data_in_bytes <= 1000);
        data += kCommandBytes + length;
        size -= kCommandBytes + length;
    }
    unit.server().detach(nexus, [] {});
    unit.remove([](const auto& removed) { require(removed.has_value()); });
    require(TapeImage::load(std::make_unique<MemoryTapeFile>(contents)).has_value());
    return 0;
}
