// The devices of one process, each function at a socket of its own, for virtual machines of one server or of several.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device_config.hpp"
#include "devices/nvme/nvme_card.hpp"
#include "devices/passthrough/vfio_user/mapped_dma_space.hpp"
#include "devices/passthrough/vfio_user/server.hpp"
#include "devices/passthrough/vfio_user/translated_dma_space.hpp"
#include "runtime/reactor.hpp"
#include "shared_doorbells.hpp"
#include "storage/raw_file.hpp"

namespace touka::device {

/// One function as the manager sees it.
struct FunctionReport {
    std::string device;
    std::uint16_t number = 0;
    std::string socket;     ///< empty: taken away
    bool busy = false;      ///< its server's thread waits, as for I/O that does not end: what follows is not known
    bool connected = false; ///< a server has it
    std::uint64_t grants = 0, faults = 0;
    std::optional<devices::passthrough::DmaFaultRecord> last_fault; ///< what it tried to reach without a grant
};

/// Each function has a DMA space, interrupts, a scope of reset and errors of its own: what one server does to its
/// function reaches no other. A function can be taken away from its server and handed over to another one, at another
/// socket, while the rest goes on. Control thread.
class DeviceService {
public:
    /// @return what is wrong, and with what.
    [[nodiscard]] static std::expected<std::unique_ptr<DeviceService>, std::string> start(const ServiceConfig& config);
    /// Servers lose their functions; volumes are flushed as they are.
    ~DeviceService();
    DeviceService(const DeviceService&) = delete;
    DeviceService& operator=(const DeviceService&) = delete;

    /// Waits for no function's I/O.
    [[nodiscard]] std::vector<FunctionReport> report();
    /// The function's server loses it, and nobody can have it until it is handed over. Returns when its memory is no
    /// longer reached. @return what is wrong with the names.
    [[nodiscard]] std::expected<void, std::string> take_away(const std::string& device, std::uint16_t number);
    /// The function is at this socket from now on; it is taken away from where it was.
    [[nodiscard]] std::expected<void, std::string> hand_over(const std::string& device, std::uint16_t number,
                                                             const std::string& socket);

private:
    /// What is served at a socket.
    struct Function {
        Function(std::string name) : space(std::move(name)) {}
        runtime::Reactor serving{"serve"}; // its server's messages: a reset waits there for the function's I/O
        devices::passthrough::MappedDmaSpace space;
        devices::passthrough::TranslatedDmaSpace translated{space};
        devices::passthrough::UnwiredMsi msi;
        std::unique_ptr<SharedDoorbells> sharing; // serving
        std::string socket;
        std::unique_ptr<devices::passthrough::VfioUserServer> server; // serving; null: taken away
    };
    struct Device {
        std::string name;
        std::vector<std::unique_ptr<storage::RawFile>> files;
        std::vector<std::unique_ptr<Function>> functions;
        std::unique_ptr<devices::nvme::NvmeCard> card; // before what its functions work with
    };

    explicit DeviceService(bool polls) : polls_(polls) {}
    [[nodiscard]] std::expected<void, std::string> add(const DeviceConfig& config);
    [[nodiscard]] Device* find(const std::string& name);
    [[nodiscard]] static devices::nvme::NvmePciFunction& pci_function(Device& device, std::uint16_t number);
    [[nodiscard]] std::expected<void, std::string> serve(Device& device, std::uint16_t number,
                                                         const std::string& socket);
    void stop_serving(Function& function);
    static void look_at(Function& function, FunctionReport& line);
    [[nodiscard]] std::expected<Function*, std::string> locate(const std::string& device, std::uint16_t number,
                                                               Device*& owner);

    const bool polls_;
    runtime::Reactor work_{"nvme"}; // all controllers' work, and what is done for none of them may wait
    std::vector<std::unique_ptr<Device>> devices_;
};

} // namespace touka::device
