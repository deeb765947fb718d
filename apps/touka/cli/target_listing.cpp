#include "target_listing.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "runtime/unique_fd.hpp"

namespace touka::cli {

using nlohmann::json;

std::expected<std::string, std::string> ask_target(const std::string& socket_path, const std::string& request) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_path.size() >= sizeof address.sun_path) {
        return std::unexpected(fmt::format("{}: too long for a socket's path", socket_path));
    }
    std::ranges::copy(socket_path, address.sun_path);
    const runtime::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return std::unexpected(
            fmt::format("{}: no touka-target answers there ({}); its configuration says where its control socket is",
                        socket_path, std::strerror(errno)));
    }
    const std::string line = request + "\n";
    if (::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
        return std::unexpected(fmt::format("{}: the connection broke", socket_path));
    }
    std::string answer;
    std::array<char, 4096> buffer{};
    while (!answer.ends_with('\n')) {
        const ssize_t count = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        answer.append(buffer.data(), static_cast<std::size_t>(count));
    }
    if (!answer.ends_with('\n')) return std::unexpected(fmt::format("{}: no whole answer came", socket_path));
    return answer;
}

namespace {

std::string format(const json& listing) {
    std::string text;
    for (const std::string portal : listing.at("portals")) text += fmt::format("portal  {}\n", portal);
    for (const json& target : listing.at("targets")) {
        text += fmt::format("\ntarget  {}\n", target.at("name").get<std::string>());
        for (const json& lun : target.at("luns")) {
            text += fmt::format("  LUN {:<5} {}\n", lun.at("lun").get<unsigned>(), lun.at("unit").get<std::string>());
        }
        const auto access = target.at("access").get<std::vector<std::string>>();
        text +=
            fmt::format("  for       {}\n", access.empty() ? "everybody" : fmt::format("{}", fmt::join(access, ", ")));
    }
    text += fmt::format("\n{:<16} {:>12} {:>12} {:>12} {:>10} {:>10} {:>10}\n", "unit", "commands", "in KiB", "out KiB",
                        "checks", "conflicts", "given up");
    for (const json& unit : listing.at("units")) {
        text += fmt::format(
            "{:<16} {:>12} {:>12} {:>12} {:>10} {:>10} {:>10}\n", unit.at("name").get<std::string>(),
            unit.at("commands").get<std::uint64_t>(), unit.at("data_in_bytes").get<std::uint64_t>() / 1024,
            unit.at("data_out_bytes").get<std::uint64_t>() / 1024, unit.at("check_conditions").get<std::uint64_t>(),
            unit.at("reservation_conflicts").get<std::uint64_t>(), unit.at("given_up_tasks").get<std::uint64_t>());
    }
    for (const json& session : listing.at("sessions")) {
        text += fmt::format("\nsession {} from {}\n  to {}, port {}, {} commands\n",
                            session.at("initiator").get<std::string>(), session.at("peer").get<std::string>(),
                            session.at("target").get<std::string>(), session.at("port").get<unsigned>(),
                            session.at("commands").get<std::uint64_t>());
    }
    return text;
}

} // namespace

std::expected<std::string, std::string> format_target_answer(const std::string& action, const std::string& answer) {
    const json listing = json::parse(answer, nullptr, false);
    if (listing.is_object() && listing.contains("ok") && listing["ok"] == true) {
        if (action != "ls") return "done\n";
        try { // the other end is another program: what it leaves out is an error to tell, not one to die of
            return format(listing);
        } catch (const json::exception&) {
        }
    } else if (listing.is_object() && listing.contains("error") && listing["error"].is_string()) {
        return std::unexpected(listing["error"].get<std::string>());
    }
    return std::unexpected("the answer is not one of touka-target's");
}

ExitStatus run_target(const TargetCommand& command, std::ostream& output, Messages& messages) {
    const auto answer = ask_target(command.socket, json{{"command", command.action}}.dump());
    const auto text = answer ? format_target_answer(command.action, *answer) : std::unexpected(answer.error());
    if (!text) {
        messages.error(text.error());
        return ExitStatus::kFailed;
    }
    output << *text << std::flush;
    return output ? ExitStatus::kPoweredOff : ExitStatus::kFailed;
}

} // namespace touka::cli
