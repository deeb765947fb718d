// A device server for tests: two nexuses, and a command whose tasks end when the test says so.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "scsi/device_server/device_server.hpp"
#include "scsi/test_task.hpp"

namespace touka::scsi {

class TestServer {
public:
    static constexpr std::uint8_t kHold = 0xC0; ///< ends by `finish`; byte 1 bit 0 is the only one that it knows

    TestServer() {
        server.add({.usage = {kHold, 0x01, 0, 0, 0, 0}, .execute = [this](Task& task) { started.push_back(&task); }});
        for (Nexus* nexus : {&a, &b}) {
            server.attach(*nexus);
            (void)server.attentions().take(nexus->name);
        }
    }

    /// Submits a command and keeps it.
    TestTask& submit(Nexus& from, std::vector<std::uint8_t> cdb, std::vector<std::uint8_t> data = {},
                     TaskAttribute attribute = TaskAttribute::kSimple) {
        TestTask& task = *tasks_.emplace_back(std::make_unique<TestTask>(from, std::move(cdb), std::move(data)));
        task.tag = tasks_.size();
        task.attribute = attribute;
        server.submit(task);
        server.commit();
        return task;
    }
    TestTask& hold(Nexus& from, TaskAttribute attribute = TaskAttribute::kSimple) {
        return submit(from, {kHold, 0, 0, 0, 0, 0}, {}, attribute);
    }
    [[nodiscard]] bool has_started(const Task& task) const { return std::ranges::count(started, &task) > 0; }
    void finish(Task& task) {
        std::erase(started, &task);
        server.good(task);
    }

    DeviceServer server;
    Nexus a{.name = {{spec::scsi::ProtocolIdentifier::kIscsi, "iqn.a"}, 1}, .index = 0, .units = {}};
    Nexus b{.name = {{spec::scsi::ProtocolIdentifier::kIscsi, "iqn.b"}, 2}, .index = 1, .units = {}};
    std::vector<Task*> started; ///< held and not finished

private:
    std::deque<std::unique_ptr<TestTask>> tasks_;
};

} // namespace touka::scsi
