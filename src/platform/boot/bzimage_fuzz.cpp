#include <cstdint>
#include <cstdlib>

#include "platform/boot/bzimage.hpp"
#include "platform/boot/kernel_loader.hpp"

using namespace touka;

// Any bytes as a kernel: it loads or it is refused, and what was loaded lies in RAM.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto memory = memory::GuestMemory::create(32u << 20).value();
    const platform::boot::MemoryImage image(std::as_bytes(std::span(data, size)));
    const auto loaded = platform::boot::load_bzimage(*memory, {}, image, &image,
                                                     {.command_line = "quiet", .rsdp = {}, .random_seed = {}});
    if (!loaded) {
        if (describe(loaded.error()).empty()) std::abort();
        return 0;
    }
    if (memory->span(loaded->kernel.start, loaded->kernel.length_bytes).empty()) std::abort();
    if (!memory->is_ram(platform::GuestAddress{loaded->entry.rip})) std::abort();
    return 0;
}
