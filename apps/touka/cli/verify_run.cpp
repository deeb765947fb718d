#include "verify_run.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

#include "scsi/verify/comparison.hpp"
#include "scsi/verify/iscsi/iscsi_sender.hpp"
#include "scsi/verify/sg_sender.hpp"
#include "shell_command.hpp"

namespace touka::cli {
namespace {

using namespace scsi::verify;

constexpr std::size_t kFileLimitBytes = 256u << 20;

struct Failure {
    ExitStatus status = ExitStatus::kConfiguration;
    std::string text{}, hint{};
};
template <class T>
using OrFailure = std::expected<T, Failure>;

OrFailure<std::string> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::unexpected(Failure{.text = path + ": " + std::strerror(errno)});
    std::string text;
    char buffer[16'384];
    while (file.read(buffer, sizeof buffer), file.gcount() > 0) {
        text.append(buffer, static_cast<std::size_t>(file.gcount()));
        if (text.size() > kFileLimitBytes) return std::unexpected(Failure{.text = path + ": too long"});
    }
    if (file.bad() || !file.eof()) return std::unexpected(Failure{.text = path + ": cannot be read"});
    return text;
}

std::expected<std::unique_ptr<CommandSender>, std::string> open_sender(const VerifyCommand& command) {
    if (command.outside.starts_with("iscsi://")) {
        auto sender = IscsiSender::open(command.outside, command.initiator);
        if (!sender) return std::unexpected(std::move(sender.error()));
        return *std::move(sender);
    }
    auto sender = SgSender::open(command.outside);
    if (!sender) return std::unexpected(std::move(sender.error()));
    return *std::move(sender);
}

/// The session ends with it: its nexus is not there when the guest's commands come.
OrFailure<Recording> record_outside(const VerifyCommand& command, const Corpus& corpus) {
    const auto sender = open_sender(command);
    if (!sender) return std::unexpected(Failure{.text = sender.error()});
    return run_corpus(corpus, **sender);
}

OrFailure<Recording> record_inside(const VerifyCommand& command, const std::string& corpus_text) {
    std::string name = "inside command";
    OrFailure<std::string> text;
    if (command.inside_command.empty()) {
        name = command.inside;
        text = read_file(command.inside);
        if (!text) return std::unexpected(std::move(text.error()));
    } else {
        auto printed = run_by_shell(command.inside_command, corpus_text, kFileLimitBytes);
        if (!printed) return std::unexpected(Failure{ExitStatus::kFailed, "inside command: " + printed.error(), {}});
        text = *std::move(printed);
    }
    auto recording = parse_recording(*text, name);
    if (recording) return *std::move(recording);
    const auto status = command.inside_command.empty() ? ExitStatus::kConfiguration : ExitStatus::kFailed;
    return std::unexpected(Failure{status, std::move(recording.error()), "only what touka-probe prints belongs there"});
}

OrFailure<Report> verify(const VerifyCommand& command) {
    const auto text = read_file(command.corpus);
    if (!text) return std::unexpected(text.error());
    const auto corpus = parse_corpus(*text, command.corpus);
    if (!corpus) return std::unexpected(Failure{.text = corpus.error()});
    const auto outside = record_outside(command, *corpus);
    if (!outside) return std::unexpected(outside.error());
    const auto inside = record_inside(command, *text);
    if (!inside) return std::unexpected(inside.error());
    return compare(*corpus, *outside, *inside);
}

} // namespace

ExitStatus run_verify(const VerifyCommand& command, std::ostream& out, Messages& messages) {
    const auto report = verify(command);
    if (!report) {
        messages.error(report.error().text, report.error().hint);
        return report.error().status;
    }
    out << to_text(*report) << std::flush;
    if (!out) return ExitStatus::kFailed;
    return report->same() ? ExitStatus::kPoweredOff : ExitStatus::kDiffered;
}

} // namespace touka::cli
