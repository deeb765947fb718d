// Asks a client for translations. (spec/vfio_user/address_translation.hpp)
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "devices/passthrough/vfio_user/client_memory.hpp"
#include "devices/passthrough/vfio_user/translated_dma_space.hpp"

namespace touka::devices::passthrough {

/// @return nothing when the reply to a translation request is not one.
[[nodiscard]] std::optional<std::vector<TranslatedRun>> read_translations(const Message& reply);

class ClientTranslations final : public TranslationSource {
public:
    ClientTranslations(std::shared_ptr<ServerCommands> commands, std::chrono::milliseconds limit)
        : commands_(std::move(commands)), limit_(limit) {}
    [[nodiscard]] std::optional<std::vector<TranslatedRun>> translate(memory::Iova first,
                                                                      std::uint64_t length_bytes) override;

private:
    std::shared_ptr<ServerCommands> commands_; // the connection's too, which closes it
    std::chrono::milliseconds limit_;
};

} // namespace touka::devices::passthrough
