#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "devices/nvme/nvme_card.hpp"
#include "devices/passthrough/passthrough_function.hpp"
#include "devices/passthrough/vfio/kernel_device.hpp"
#include "devices/passthrough/vfio_user/remote_device.hpp"
#include "machine/config.hpp"
#include "machine/function_paths.hpp"
#include "machine/passed_memory.hpp"
#include "platform/device.hpp"
#include "storage/raw_file.hpp"

namespace touka::machine {

/// The ways out of one card's functions, closed when they have gone.
class CardPaths {
public:
    explicit CardPaths(FunctionPaths& paths) : paths_(paths) {}
    ~CardPaths() {
        for (FunctionPaths::Path* path : open_) paths_.close(*path);
    }
    CardPaths(const CardPaths&) = delete;
    CardPaths& operator=(const CardPaths&) = delete;
    [[nodiscard]] FunctionPaths::Path& open() { return *open_.emplace_back(&paths_.open()); }
    [[nodiscard]] FunctionPaths::Path& open_with_translation() {
        return *open_.emplace_back(&paths_.open_with_translation());
    }

private:
    FunctionPaths& paths_;
    std::vector<FunctionPaths::Path*> open_;
};

/// What is in a slot, with all that is behind it. One thread at a time, but for what its devices say.
struct Card {
    Card(CardConfig what, FunctionPaths& all_paths) : config(std::move(what)), paths(all_paths) {}

    /// For the slot.
    [[nodiscard]] platform::PciFunction& function();
    /// Physical functions before virtual ones.
    [[nodiscard]] std::vector<platform::Device*> devices();
    /// Everything that it has under way ends, and nothing begins any more. Returns when the host has done with it, or a
    /// server did not answer for seconds. @pre it is on no bus, or nothing runs.
    void end_work();

    CardConfig config;
    // Destroyed from the end: functions before what is behind them.
    CardPaths paths;
    std::unique_ptr<storage::RawFile> file, metadata;
    std::unique_ptr<devices::nvme::NvmeCard> nvme;
    std::unique_ptr<devices::passthrough::RemoteDevice> remote;
    std::unique_ptr<devices::vfio::KernelDevice> host;
    std::unique_ptr<PassedMemory> memory; // that `remote` or `host` reaches
    std::unique_ptr<devices::passthrough::PassthroughFunction> passthrough;
};

} // namespace touka::machine
