// A whole block device with a driver that does anything: the input is a list of 8-byte steps that write registers,
// descriptors, requests and indices, and ring doorbells. Whatever it did, the device works again after a reset.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "devices/virtio/block.hpp"
#include "devices/virtio/test_driver.hpp"
#include "storage/memory_volume.hpp"

using namespace touka;
using namespace touka::devices::virtio;

namespace {

struct Step {
    std::uint8_t what;
    std::uint8_t width;
    std::uint16_t place;
    std::uint32_t value;
};

class Machine {
public:
    void bring_up() {
        queues_ = driver_.bring_up(spec::virtio::VIRTIO_F_INDIRECT_DESC | spec::virtio::VIRTIO_BLK_F_FLUSH, 2, 16);
        scratch_ = driver_.allocate(4096);
    }
    void run(const Step& step) {
        auto& queue = queues_[step.place % 2];
        const unsigned width = 1u << (step.width % 4);
        switch (step.what % 8) {
            case 0: machine_.memory.write(driver_.base() + step.place % 0x4000, width, step.value); break;
            case 1: (void)machine_.memory.read(driver_.base() + step.place % 0x4000, width); break;
            case 2: {
                // Mostly buffers that exist: the scratch page; sometimes anything.
                const std::uint64_t address = step.width < 0xF0 ? scratch_ + step.value % 4096 : step.value * 0x1001ull;
                driver_.set_descriptor(queue, step.place / 2 % 16,
                                       {address, step.value >> 12, static_cast<std::uint16_t>(step.width % 8),
                                        static_cast<std::uint16_t>(step.place >> 8)});
                break;
            }
            case 3: driver_.store(scratch_ + step.place % 4088, step.value); break;
            case 4: driver_.make_available(queue, static_cast<std::uint16_t>(step.value)); break;
            case 5: driver_.kick(queue); break;
            case 6: driver_.config_write(step.place % 4096, width % 8, step.value); break;
            default:
                queue.avail_index = static_cast<std::uint16_t>(queue.avail_index + step.value % 3);
                driver_.publish_avail(queue);
                break;
        }
    }
    void check_alive() {
        function_.pause();
        function_.reset();
        function_.resume();
        bring_up();
        driver_.store(scratch_, spec::virtio::BlockRequestHeader{spec::virtio::VIRTIO_BLK_T_FLUSH, 0, 0});
        driver_.send(queues_[0], {{scratch_, 16, false}, {scratch_ + 16, 1, true}});
        if (!driver_.has_used(queues_[0])) std::abort();
    }

private:
    test::TestMachine machine_;
    storage::MemoryVolume volume_{64 << 10};
    VirtioPciFunction function_{"virtio-blk@00:03.0", std::make_unique<Block>(volume_, BlockConfiguration{2, "fuzz"}),
                                machine_.context()};
    test::TestDriver driver_{machine_, function_};
    std::vector<test::TestDriver::Queue> queues_;
    std::uint64_t scratch_ = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Machine machine;
    machine.bring_up();
    for (; size >= sizeof(Step); data += sizeof(Step), size -= sizeof(Step)) {
        Step step;
        std::memcpy(&step, data, sizeof step);
        machine.run(step);
    }
    machine.check_alive();
    return 0;
}
