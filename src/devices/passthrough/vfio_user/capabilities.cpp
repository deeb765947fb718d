#include "devices/passthrough/vfio_user/capabilities.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace touka::devices::passthrough {

namespace {

/// More than any peer has to say, and less deep than what a parser that calls itself can follow.
constexpr std::size_t kTextLimitBytes = 4096;
constexpr std::uint64_t kDescriptorsLimit = 1024;

/// @return false when the member is there and not a number from `least` to `most`.
bool read_number(const nlohmann::json& object, const char* name, std::uint64_t least, std::uint64_t most,
                 std::uint64_t& value) {
    const auto member = object.find(name);
    if (member == object.end()) return true;
    if (!member->is_number_unsigned()) return false;
    value = member->get<std::uint64_t>();
    return value >= least && value <= most;
}

bool read_boolean(const nlohmann::json& object, const char* name, bool& value) {
    const auto member = object.find(name);
    if (member == object.end()) return true;
    if (!member->is_boolean()) return false;
    value = member->get<bool>();
    return true;
}

bool read_twin_socket(const nlohmann::json& object, Capabilities& capabilities) {
    const auto member = object.find("twin_socket");
    if (member == object.end()) return true;
    if (!member->is_object() || !read_boolean(*member, "supported", capabilities.twin_socket)) return false;
    if (!member->contains("fd_index")) return true;
    return read_number(*member, "fd_index", 0, kDescriptorsLimit, capabilities.twin_socket_index.emplace());
}

/// What is Touka's own has an object of its own, so that it is nobody else's name.
bool read_own(const nlohmann::json& object, Capabilities& capabilities) {
    const auto member = object.find("touka");
    if (member == object.end()) return true;
    return member->is_object() && read_boolean(*member, "address_translation", capabilities.address_translation);
}

} // namespace

std::vector<std::byte> write_capabilities(const Capabilities& capabilities) {
    nlohmann::json object{{"max_msg_fds", capabilities.max_message_descriptors},
                          {"max_data_xfer_size", capabilities.max_transfer_bytes},
                          {"max_dma_maps", capabilities.max_dma_maps},
                          {"pgsizes", capabilities.page_sizes},
                          {"write_multiple", capabilities.write_multiple},
                          {"migration", {{"pgsize", spec::vfio_user::kDefaultPageSizes}}}};
    if (capabilities.twin_socket) object["twin_socket"]["supported"] = true;
    if (capabilities.twin_socket_index) object["twin_socket"]["fd_index"] = *capabilities.twin_socket_index;
    if (capabilities.address_translation) object["touka"]["address_translation"] = true;
    const std::string text = nlohmann::json{{"capabilities", std::move(object)}}.dump();
    const auto bytes = std::as_bytes(std::span(text.c_str(), text.size() + 1));
    return {bytes.begin(), bytes.end()};
}

std::optional<Capabilities> read_capabilities(std::span<const std::byte> bytes) {
    Capabilities capabilities;
    if (bytes.empty()) return capabilities;
    if (bytes.size() > kTextLimitBytes || bytes.back() != std::byte{0}) return std::nullopt;
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size() - 1);
    const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (json.is_discarded() || !json.is_object()) return std::nullopt;
    const auto object = json.find("capabilities");
    if (object == json.end()) return capabilities;
    if (!object->is_object()) return std::nullopt;
    constexpr std::uint64_t kAny = ~std::uint64_t{0};
    const bool good = read_number(*object, "max_msg_fds", 0, kDescriptorsLimit, capabilities.max_message_descriptors) &&
                      read_number(*object, "max_data_xfer_size", 1, kAny, capabilities.max_transfer_bytes) &&
                      read_number(*object, "max_dma_maps", 0, kAny, capabilities.max_dma_maps) &&
                      read_number(*object, "pgsizes", 1, kAny, capabilities.page_sizes) &&
                      read_boolean(*object, "write_multiple", capabilities.write_multiple) &&
                      read_twin_socket(*object, capabilities) && read_own(*object, capabilities);
    if (!good) return std::nullopt;
    const auto migration = object->find("migration");
    if (migration != object->end()) {
        std::uint64_t page_size = 0;
        if (!migration->is_object() || !read_number(*migration, "pgsize", 1, kAny, page_size)) return std::nullopt;
    }
    return capabilities;
}

} // namespace touka::devices::passthrough
