#include "verify_run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>

#include "scsi/iscsi/portal.hpp"
#include "scsi/iscsi/test_initiator.hpp"
#include "scsi/verify/iscsi/iscsi_sender.hpp"

namespace touka::cli {
namespace {

using testing::HasSubstr;

/// A unit behind a portal, and files that go away with the test.
class VerifyRun : public testing::Test {
protected:
    VerifyRun() {
        reactor_.run_and_wait([&] {
            policy_.mapped = {{scsi::Lun::from_number(0), &unit_}};
            entity_ = std::make_unique<scsi::iscsi::NetworkEntity>(reactor_, policy_);
            portal_ = *scsi::iscsi::Portal::open(reactor_, *entity_, 0, "127.0.0.1:0");
            entity_->set_targets({{.name = "iqn.2026-01.test:target",
                                   .target = &target_,
                                   .portals = {{.portal = 0, .group_tag = 1, .relative_port = 1}}}});
        });
        command_ = {.outside = "iscsi://" + portal_->address() + "/iqn.2026-01.test:target/0",
                    .corpus = file("corpus", kCorpus),
                    .inside_command = {},
                    .inside = {},
                    .initiator = "iqn.2026-01.test:verify"};
    }
    ~VerifyRun() override {
        reactor_.run_and_wait([&] {
            portal_.reset();
            entity_.reset();
        });
        for (const auto& path : files_) std::remove(path.c_str());
    }
    std::string file(const std::string& name, const std::string& text) {
        files_.push_back(testing::TempDir() + "touka-verify-" + std::to_string(::getpid()) + "-" + name);
        std::ofstream(files_.back()) << text;
        return files_.back();
    }
    /// What a probe would print.
    [[nodiscard]] std::string recording() const {
        const auto sender = scsi::verify::IscsiSender::open(command_.outside, "iqn.2026-01.test:guest");
        return to_text(run_corpus(*scsi::verify::parse_corpus(kCorpus, "corpus"), **sender));
    }
    ExitStatus run() {
        out_.str("");
        errors_.str("");
        Messages messages(errors_, false);
        return run_verify(command_, out_, messages);
    }

    static constexpr const char* kCorpus = "name WRITE(10)\ncdb 2A 00 00 00 00 00 00 00 01 00\nout pattern 512 0xA5\n"
                                           "name READ(10)\ncdb 28 00 00 00 00 00 00 00 01 00\nin 1024\n";
    VerifyCommand command_;
    std::ostringstream out_, errors_;

private:
    scsi::iscsi::RamUnit unit_{64};
    scsi::Target target_;
    scsi::iscsi::TestPolicy policy_;
    runtime::Reactor reactor_{"verify-run-test"};
    std::unique_ptr<scsi::iscsi::NetworkEntity> entity_;
    std::unique_ptr<scsi::iscsi::Portal> portal_;
    std::vector<std::string> files_;
};

TEST_F(VerifyRun, IsContentWhenNothingDiffers) {
    command_.inside = file("responses", recording());
    EXPECT_EQ(run(), ExitStatus::kPoweredOff) << errors_.str();
    EXPECT_EQ(out_.str(), "2 commands, 2 the same, 0 differ\n");
}

TEST_F(VerifyRun, GivesTheCorpusToTheCommandAndTellsWhatDiffers) {
    std::string forged = recording();
    forged.replace(forged.find("residual=512"), 12, "residual=256");
    // `cmp`: the corpus is on its standard input, as it is in the file.
    command_.inside_command = "cmp - " + command_.corpus + " >&2 && cat " + file("forged", forged);
    EXPECT_EQ(run(), ExitStatus::kDiffered) << errors_.str();
    EXPECT_THAT(out_.str(), HasSubstr("READ(10)  residual"));
    EXPECT_THAT(out_.str(), HasSubstr("2 commands, 1 the same, 1 differs\n"));
}

TEST_F(VerifyRun, FailsWithTheCommand) {
    command_.inside_command = "exit 255";
    EXPECT_EQ(run(), ExitStatus::kFailed);
    EXPECT_THAT(errors_.str(), HasSubstr("inside command: exit status 255"));
    command_.inside_command = "echo welcome";
    EXPECT_EQ(run(), ExitStatus::kFailed);
    EXPECT_THAT(errors_.str(), HasSubstr("inside command:1: not the responses that touka-probe prints"));
}

TEST_F(VerifyRun, RefusesAWrongCorpusBeforeAnythingIsSent) {
    command_.corpus = file("wrong", "name a\ncdb zz\n");
    EXPECT_EQ(run(), ExitStatus::kConfiguration);
    EXPECT_THAT(errors_.str(), HasSubstr("wrong:2: \"zz\" is not a byte"));
    command_.corpus = "/nonexistent";
    EXPECT_EQ(run(), ExitStatus::kConfiguration);
    EXPECT_THAT(errors_.str(), HasSubstr("/nonexistent: No such file"));
}

TEST_F(VerifyRun, SaysThatAUnitCannotBeReached) {
    command_.outside = "/dev/null";
    EXPECT_EQ(run(), ExitStatus::kConfiguration);
    EXPECT_THAT(errors_.str(), HasSubstr("/dev/null: not a SCSI device"));
}

} // namespace
} // namespace touka::cli
