// An initiator that says anything during login: it must neither crash nor get in without its secret.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "scsi/iscsi/test_initiator.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace touka::scsi;
    using namespace touka::scsi::iscsi;
    if (size < 2) return 0;
    TestSetup setup({}, 1);
    const bool secret = (data[0] & 1) != 0;
    if (secret) setup.policy.required = {.initiator = ChapSecret{"u", "never told"}, .target = ChapSecret{"t", "x"}};
    LoginPhase login(setup.entity, data[0] >> 1 & 1, {});
    std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    // Requests: flags, then text up to FFh. Names come by themselves unless the first flags have bit 5.
    bool first = true;
    while (!rest.empty()) {
        BasicHeader request(touka::spec::iscsi::Opcode::kLoginRequest, static_cast<std::uint8_t>(rest[0]) & 0xDF);
        const bool named = (rest[0] & 0x20) == 0;
        rest.remove_prefix(1);
        const auto end = rest.find('\xFF');
        std::string text(rest.substr(0, end));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        if (first && named) {
            std::string names;
            add_pair(names, "InitiatorName", "iqn.i");
            add_pair(names, "TargetName", "iqn.2026-01.test:target");
            text.insert(0, names);
        }
        first = false;
        const LoginStep step = login.take(request, text);
        if (step.status != LoginStatus::kSuccess) break;
        if (step.finished && secret) std::abort();
        if (step.finished) break;
        if (step.text.size() > 8192) std::abort();
    }
    return 0;
}
