#include "machine/card.hpp"

namespace touka::machine {

platform::PciFunction& Card::function() {
    if (nvme) return nvme->physical();
    return *passthrough;
}

std::vector<platform::Device*> Card::devices() {
    if (nvme) return nvme->devices();
    if (passthrough) return {passthrough.get()};
    return {};
}

void Card::end_work() {
    if (passthrough) {
        passthrough->set_presence_handler({});
        passthrough->set_notice_handler({});
    }
    for (platform::Device* device : devices()) {
        device->reset();
        device->pause();
    }
    if (memory) memory->take_back();
}

} // namespace touka::machine
