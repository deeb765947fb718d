#include "nvme_driver.hpp"

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "devices/passthrough/passthrough_function.hpp"
#include "spec/nvme/identify.hpp"
#include "spec/nvme/registers.hpp"
#include "spec/pci/config_header.hpp"
#include "spec/vfio/device.hpp"

namespace touka::bench {

using namespace spec::nvme;
using devices::passthrough::RemoteDevice;

namespace {

constexpr std::uint64_t kMemoryBytes = 4 << 20;
constexpr std::uint64_t kAdminSubmissions = 0x1000, kAdminCompletions = 0x2000, kAnswer = 0x3000;
constexpr std::uint64_t kSubmissions = 0x1'0000, kCompletions = 0x2'0000, kData = 0x10'0000;
static_assert(kSubmissions + NvmeDriver::kQueueSize * sizeof(SubmissionEntry) <= kCompletions);
static_assert(kCompletions + NvmeDriver::kQueueSize * sizeof(CompletionEntry) <= kData);
static_assert(kData + NvmeDriver::kDataBytes <= kMemoryBytes);

constexpr auto kPatience = std::chrono::seconds(5);
constexpr std::uint32_t kNamespace = 1;
constexpr std::uint16_t kIoQueue = 1;

constexpr std::uint32_t tail_of(std::uint16_t queue) { return kDoorbells + 2u * queue * kDoorbellBytes; }
constexpr std::uint32_t head_of(std::uint16_t queue) { return tail_of(queue) + kDoorbellBytes; }

} // namespace

void NvmeQueuePair::put(const SubmissionEntry& command) {
    std::memcpy(submissions_ + std::size_t{tail_} * sizeof command, &command, sizeof command);
    tail_ = static_cast<std::uint16_t>(tail_ + 1 == size_ ? 0 : tail_ + 1);
}

std::optional<CompletionEntry> NvmeQueuePair::take() {
    std::byte* const place = completions_ + std::size_t{head_} * sizeof(CompletionEntry);
    // The last word, with the phase tag, is stored last.
    const auto last_word = std::atomic_ref(*reinterpret_cast<std::uint32_t*>(place + 12));
    if ((last_word.load(std::memory_order_acquire) >> 16 & 1) != (phase_ ? 1u : 0u)) return std::nullopt;
    CompletionEntry entry;
    std::memcpy(&entry, place, sizeof entry);
    head_ = static_cast<std::uint16_t>(head_ + 1 == size_ ? 0 : head_ + 1);
    if (head_ == 0) phase_ = !phase_;
    return entry;
}

NvmeDriver::NvmeDriver(std::unique_ptr<memory::GuestMemory> memory)
    : memory_(std::move(memory)), dma_(*memory_),
      admin_(memory_->base(), kAdminSubmissions, kAdminCompletions, kAdminSize),
      io_(memory_->base(), kSubmissions, kCompletions, kQueueSize) {}

NvmeDriver::~NvmeDriver() {
    if (device_) write_register(offset::CC, 4, 0);
}

std::expected<std::unique_ptr<NvmeDriver>, std::string> NvmeDriver::connect(const std::string& socket) {
    auto memory = memory::GuestMemory::create(kMemoryBytes);
    if (!memory) return std::unexpected("no memory for the queues");
    std::unique_ptr<NvmeDriver> driver(new NvmeDriver(std::move(*memory)));
    if (const auto attached = driver->attach(socket); !attached) return std::unexpected(attached.error());
    if (const auto started = driver->start(); !started) return std::unexpected(started.error());
    return driver;
}

std::expected<void, std::string> NvmeDriver::attach(const std::string& socket) {
    RemoteDevice::Settings settings;
    settings.name = "load";
    settings.dial = RemoteDevice::dialer(socket);
    auto device = RemoteDevice::connect(std::move(settings), dma_);
    if (!device) return std::unexpected(device.error());
    device_ = std::move(*device);
    if (!devices::passthrough::grant_all_memory(*device_, *memory_)) return std::unexpected("the memory was refused");
    using namespace spec::pci;
    const auto on = Command{}.set(command::MEMORY_SPACE, true).set(command::BUS_MASTER, true);
    if (!device_->write(spec::vfio::VFIO_PCI_CONFIG_REGION_INDEX, spec::pci::offset::kCommand,
                        std::as_bytes(std::span(&on.raw, 1)))) {
        return std::unexpected("the function cannot be switched on");
    }
    layout_ = device_->layout();
    if (!layout_) return std::unexpected("the server has gone");
    doorbells_ = layout_->regions[spec::vfio::VFIO_PCI_BAR0_REGION_INDEX].mapped(kDoorbells, 4 * kDoorbellBytes);
    return {};
}

std::expected<void, std::string> NvmeDriver::start() {
    write_register(offset::CC, 4, 0);
    if (!wait_ready(false)) return std::unexpected("the controller does not stop");
    constexpr auto kLast = static_cast<std::uint16_t>(kAdminSize - 1);
    write_register(offset::AQA, 4, Aqa{}.set(aqa::ASQS, kLast).set(aqa::ACQS, kLast).raw);
    write_register(offset::ASQ, 8, kAdminSubmissions);
    write_register(offset::ACQ, 8, kAdminCompletions);
    write_register(offset::CC, 4,
                   Cc{}.set(cc::EN, true)
                       .set(cc::IOSQES, std::uint8_t{kSubmissionEntryShift})
                       .set(cc::IOCQES, std::uint8_t{kCompletionEntryShift})
                       .raw);
    if (!wait_ready(true)) return std::unexpected("the controller does not start");
    if (!identify()) return std::unexpected("the namespace cannot be identified");
    if (!create_queues()) return std::unexpected("the controller makes no queues");
    return {};
}

bool NvmeDriver::wait_ready(bool ready) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < until) {
        if (Csts{static_cast<std::uint32_t>(read_register(offset::CSTS, 4))}.get(csts::RDY) == ready) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

bool NvmeDriver::run_admin(const SubmissionEntry& command) {
    admin_.put(command);
    write_register(tail_of(0), 4, admin_.tail());
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < until) {
        const auto entry = admin_.take();
        if (!entry) continue;
        write_register(head_of(0), 4, admin_.head());
        return entry->status_phase >> 1 == 0;
    }
    return false;
}

bool NvmeDriver::identify() {
    SubmissionEntry command{};
    command.opcode = std::to_underlying(AdminOpcode::kIdentify);
    command.nsid = kNamespace;
    command.prp1 = kAnswer;
    if (!run_admin(command)) return false;
    IdentifyNamespace answer;
    std::memcpy(&answer, memory_->base() + kAnswer, sizeof answer);
    block_shift_ = answer.lbaf[answer.flbas & 0xF].data_shift;
    return true;
}

bool NvmeDriver::create_queues() {
    SubmissionEntry command{};
    command.opcode = std::to_underlying(AdminOpcode::kCreateCompletionQueue);
    command.prp1 = kCompletions;
    command.cdw10 = kIoQueue | (kQueueSize - 1u) << 16;
    command.cdw11 = kQueueContiguous;
    if (!run_admin(command)) return false;
    command.opcode = std::to_underlying(AdminOpcode::kCreateSubmissionQueue);
    command.prp1 = kSubmissions;
    command.cdw11 = kQueueContiguous | std::uint32_t{kIoQueue} << 16;
    return run_admin(command);
}

void NvmeDriver::put_read(std::uint16_t cid, std::uint64_t offset_bytes, std::uint32_t length_bytes,
                          std::uint64_t data) {
    SubmissionEntry command{};
    command.opcode = std::to_underlying(IoOpcode::kRead);
    command.cid = cid;
    command.nsid = kNamespace;
    command.prp1 = kData + data;
    const std::uint64_t first = offset_bytes >> block_shift_;
    command.cdw10 = static_cast<std::uint32_t>(first);
    command.cdw11 = static_cast<std::uint32_t>(first >> 32);
    command.cdw12 = (length_bytes >> block_shift_) - 1;
    io_.put(command);
}

void NvmeDriver::ring() {
    if (io_.tail() != rung_tail_) ring(tail_of(kIoQueue), rung_tail_ = io_.tail());
    const unsigned taken = (io_.head() + kQueueSize - rung_head_) % kQueueSize;
    if (taken >= kTakenAtOnce) ring(head_of(kIoQueue), rung_head_ = io_.head());
}

void NvmeDriver::ring(std::uint32_t doorbell, std::uint16_t value) {
    if (doorbells_.empty()) return write_register(doorbell, kDoorbellBytes, value);
    auto* const word = reinterpret_cast<std::uint32_t*>(doorbells_.data() + (doorbell - kDoorbells));
    std::atomic_ref(*word).store(value, std::memory_order_release); // what it tells of was stored before
}

std::uint64_t NvmeDriver::read_register(std::uint32_t at, unsigned width_bytes) {
    std::uint64_t value = 0;
    const auto to = std::as_writable_bytes(std::span(&value, 1)).first(width_bytes);
    return device_->read(spec::vfio::VFIO_PCI_BAR0_REGION_INDEX, at, to) ? value : 0;
}

void NvmeDriver::write_register(std::uint32_t at, unsigned width_bytes, std::uint64_t value) {
    (void)device_->write(spec::vfio::VFIO_PCI_BAR0_REGION_INDEX, at,
                         std::as_bytes(std::span(&value, 1)).first(width_bytes));
}

} // namespace touka::bench
