#pragma once

#include <cstdint>

#include "platform/pci/config_space.hpp"

namespace touka::platform {

/// What a function translates addresses with, if software lets it.
class TranslationServices {
public:
    virtual ~TranslationServices() = default;
    /// Software wrote the control register, or the function was reset: nothing that is kept counts any more. Under the
    /// configuration lock.
    virtual void set_enabled(bool enabled) = 0;
};

/// The Address Translation Services capability: its registers. (PCI Express Base 5.0 §10.5.1; of virtual functions
/// §9.3.7.8) The smallest translation unit is kept and has no effect: answers of every size are understood.
/// Under the configuration lock.
class AtsCapability {
public:
    /// @param at where its header is.  @param virtual_function what is the physical one's alone reads 0.
    AtsCapability(ConfigSpace& config, std::uint32_t at, bool virtual_function, TranslationServices& services);

    /// Software wrote these bytes of the configuration space.
    void written(std::uint32_t at, unsigned width_bytes);
    /// Follows the register, which may have been reset or restored.
    void update();

private:
    [[nodiscard]] bool enabled() const;

    ConfigSpace& config_;
    std::uint32_t at_;
    TranslationServices& services_;
    bool told_ = false; // what the services were told last
};

} // namespace touka::platform
