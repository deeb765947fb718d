// A whole SCSI host device with a driver that does anything: the input is a list of 8-byte steps that write registers,
// descriptors, requests and indices, ring doorbells, and let the unit behind finish or hold tasks. Whatever happened,
// the device works again after a reset.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "devices/virtio/scsi.hpp"
#include "devices/virtio/test_driver.hpp"
#include "devices/virtio/test_unit.hpp"

using namespace touka;
using namespace touka::devices::virtio;

namespace {

struct Step {
    std::uint8_t what;
    std::uint8_t width;
    std::uint16_t place;
    std::uint32_t value;
};

/// Answers with data as long as byte 4 of the CDB says.
void execute(scsi::Task& task) {
    task.transfer_bytes = task.cdb[4];
    const std::uint64_t length = std::min<std::uint64_t>(task.transfer_bytes, task.data_in_limit_bytes);
    if (length > 0) {
        for (const iovec& buffer : task.data_in(length)) std::memset(buffer.iov_base, 0x5A, buffer.iov_len);
        task.data_in_bytes = length;
    }
    if (task.data_out_bytes > 0) {
        std::array<std::uint8_t, 64> sense{};
        task.sense = scsi::SenseData(std::span(sense).first(scsi::copy_from(task.data_out, 0, sense)));
        task.status = scsi::Status::kCheckCondition;
    }
    task.complete();
}

class Machine {
public:
    Machine() {
        unit_.execute = execute;
        machine_.reactor.run_and_wait(
            [this] { device_->attach(1, target_, 1, {{scsi::Lun::from_number(0), &unit_}}); });
    }
    void bring_up() {
        queues_ = driver_.bring_up(spec::virtio::VIRTIO_F_INDIRECT_DESC | spec::virtio::VIRTIO_SCSI_F_HOTPLUG |
                                       spec::virtio::VIRTIO_SCSI_F_CHANGE,
                                   4, 16);
        scratch_ = driver_.allocate(4096);
        driver_.store(scratch_, std::array<std::uint8_t, 4>{1, 1, 0x40, 0});           // a LUN that exists
        driver_.store(scratch_ + 512 + 8, std::array<std::uint8_t, 4>{1, 1, 0x40, 0}); // that of task management
    }
    void run(const Step& step) {
        auto& queue = queues_[step.place % 4];
        const unsigned width = 1u << (step.width % 4);
        switch (step.what % 10) {
            case 0: machine_.memory.write(driver_.base() + step.place % 0x4000, width, step.value); break;
            case 1: (void)machine_.memory.read(driver_.base() + step.place % 0x4000, width); break;
            case 2: {
                // Mostly buffers that exist: the scratch page; sometimes anything.
                const std::uint64_t address = step.width < 0xF0 ? scratch_ + step.value % 4096 : step.value * 0x1001ull;
                driver_.set_descriptor(queue, step.place / 4 % 16,
                                       {address, step.value >> 12, static_cast<std::uint16_t>(step.width % 8),
                                        static_cast<std::uint16_t>(step.place >> 8)});
                break;
            }
            case 3: driver_.store(scratch_ + step.place % 4088, step.value); break;
            case 4: driver_.make_available(queue, static_cast<std::uint16_t>(step.value)); break;
            case 5: driver_.kick(queue); break;
            case 6: driver_.config_write(step.place % 4096, width % 8, step.value); break;
            case 7: machine_.reactor.run_and_wait([&] { act(step.value); }); break;
            default:
                queue.avail_index = static_cast<std::uint16_t>(queue.avail_index + step.value % 3);
                driver_.publish_avail(queue);
                break;
        }
    }
    void check_alive() {
        machine_.reactor.run_and_wait([this] {
            unit_.held = false;
            unit_.complete_all();
        });
        function_.pause();
        function_.reset();
        function_.resume();
        bring_up();
        driver_.send(queues_[2], {{scratch_, 51, false}, {scratch_ + 1024, 108, true}});
        if (!driver_.has_used(queues_[2])) std::abort();
    }

private:
    void act(std::uint32_t what) {
        switch (what % 4) {
            case 0: unit_.held = !unit_.held; break;
            case 1: unit_.complete_all(); break;
            case 2: device_->parameters_changed(1, {}, scsi::SenseCode::kCapacityDataHasChanged); break;
            default: device_->remap(1, {{scsi::Lun::from_number(what / 4 % 2), &unit_}}); break;
        }
    }

    test::TestUnit unit_;
    scsi::Target target_;
    test::TestMachine machine_;
    Scsi* device_ = new Scsi({{spec::scsi::ProtocolIdentifier::kFibreChannel, "2100000e1e123456"}, 2});
    VirtioPciFunction function_{"virtio-scsi@00:03.0", std::unique_ptr<VirtioDevice>(device_), machine_.context()};
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
