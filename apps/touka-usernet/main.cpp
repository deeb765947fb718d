// User networking for one virtual card, in a process of its own: a hole in the protocol code that talks to the
// guest and to the world then opens a process without rights, not the virtual machine. Started by touka.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "guest_socket.hpp"
#include "network/port_forward.hpp"
#include "network/usernet_protocol.hpp"
#include "sandbox.hpp"
#include "slirp_network.hpp"

namespace {

using namespace touka;
namespace protocol = network::usernet_protocol;

struct Options {
    bool restricted = false;
    std::vector<network::PortForward> forwards;
};

std::expected<Options, std::string> parse(std::span<char*> words) {
    Options options;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (word == protocol::kRestrictedOption) {
            options.restricted = true;
        } else if (word == protocol::kForwardOption && i + 1 < words.size()) {
            auto forward = network::parse_port_forward(words[++i]);
            if (!forward) return std::unexpected(forward.error());
            options.forwards.push_back(*forward);
        } else {
            return std::unexpected(fmt::format("unknown option {}", word));
        }
    }
    return options;
}

std::expected<void, std::string> serve(usernet::GuestSocket& guest, const Options& options) {
    usernet::SlirpNetwork slirp(guest, options.restricted);
    for (const network::PortForward& forward : options.forwards) {
        if (auto added = slirp.add(forward); !added) return added;
    }
    if (auto entered = usernet::enter_sandbox(); !entered) return entered;
    guest.report_ready();
    slirp.run();
    ::_exit(0); // the filter allows no tidying up
}

} // namespace

int main(int argc, char** argv) {
    struct stat status{};
    if (::fstat(protocol::kSocketFd, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        fmt::print(stderr, "{} is started by touka, for a card with user networking\n", protocol::kProgram);
        return 2;
    }
    ::signal(SIGPIPE, SIG_IGN); // libslirp writes to connections that the other side closed
    usernet::GuestSocket guest(protocol::kSocketFd);
    const auto options = parse(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
    if (!options) {
        guest.report_refusal(options.error());
    } else if (const auto served = serve(guest, *options); !served) {
        guest.report_refusal(served.error());
    }
    return 1;
}
