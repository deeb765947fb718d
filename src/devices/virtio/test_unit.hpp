// A logical unit for tests: it executes nothing, but does what the test says with each task.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "scsi/logical_unit.hpp"

namespace touka::devices::virtio::test {

class TestUnit final : public scsi::LogicalUnit {
public:
    void submit(scsi::Task& task) override {
        if (held) {
            waiting.push_back(&task);
        } else {
            execute(task);
        }
    }
    void commit() override { ++commits; }
    void manage(scsi::TaskManagementFunction function, scsi::Nexus&, std::uint64_t tag,
                std::function<void(scsi::TaskManagementResponse)> done) override {
        functions.push_back(function);
        last_tag = tag;
        if (functions_held) {
            waiting_functions.push_back(std::move(done));
            return;
        }
        abort_all();
        done(response);
    }
    void attach(scsi::Nexus&) override { ++attached; }
    void detach(scsi::Nexus&, std::function<void()> done) override {
        --attached;
        abort_all();
        done();
    }
    void inventory_changed(scsi::Nexus&) override {}
    void inventory_reported(scsi::Nexus&) override {}

    void complete_all() {
        for (scsi::Task* task : std::exchange(waiting, {})) execute(*task);
    }
    void abort_all() {
        for (scsi::Task* task : std::exchange(waiting, {})) {
            task->aborted = true;
            task->complete();
        }
    }

    /// Fills the response in and completes; GOOD by default.
    std::function<void(scsi::Task&)> execute = [](scsi::Task& task) { task.complete(); };
    scsi::TaskManagementResponse response = scsi::TaskManagementResponse::kComplete;
    std::vector<scsi::Task*> waiting;
    std::vector<std::function<void(scsi::TaskManagementResponse)>> waiting_functions;
    std::vector<scsi::TaskManagementFunction> functions;
    std::uint64_t last_tag = 0;
    bool held = false, functions_held = false;
    int commits = 0, attached = 0;
};

} // namespace touka::devices::virtio::test
