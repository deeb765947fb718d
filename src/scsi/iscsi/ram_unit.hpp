// A small disk in memory, for tests of the port.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "scsi/device_server/device_server.hpp"

namespace touka::scsi::iscsi {

/// Blocks of 512 bytes; READ and WRITE of 10 and 16 bytes, TEST UNIT READY, INQUIRY, READ CAPACITY.
/// Nexuses begin without a unit attention.
class RamUnit final : public LogicalUnit {
public:
    static constexpr std::size_t kBlockBytes = 512;

    explicit RamUnit(std::size_t blocks) : memory(blocks * kBlockBytes) {
        add(0x00, 6, [this](Task& task) { server_.good(task); });
        add(0x12, 6, [this](Task& task) {
            std::vector<std::uint8_t> data(36);
            data[2] = 6, data[3] = 2, data[4] = 31;
            server_.reply(task, data, task.cdb.number(3, 2));
        });
        add(0x25, 10, [this](Task& task) {
            std::vector<std::uint8_t> data(8);
            spec::scsi::store_number(std::span(data).first(4), memory.size() / kBlockBytes - 1);
            spec::scsi::store_number(std::span(data).last(4), kBlockBytes);
            server_.reply(task, data, 8);
        });
        server_.add({.service_action = 0x10, // READ CAPACITY(16)
                     .usage = std::vector<std::uint8_t>{0x9E, 0x1F, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                                        255, 255, 255, 255},
                     .execute = [this](Task& task) {
                         std::vector<std::uint8_t> data(32);
                         spec::scsi::store_number(std::span(data).first(8), memory.size() / kBlockBytes - 1);
                         spec::scsi::store_number(std::span(data).subspan(8, 4), kBlockBytes);
                         server_.reply(task, data, task.cdb.number(10, 4));
                     }});
        add(0x28, 10, [this](Task& task) { read(task, task.cdb.number(2, 4), task.cdb.number(7, 2)); });
        add(0x2A, 10, [this](Task& task) { write(task, task.cdb.number(2, 4), task.cdb.number(7, 2)); });
        add(0x88, 16, [this](Task& task) { read(task, task.cdb.number(2, 8), task.cdb.number(10, 4)); });
        add(0x8A, 16, [this](Task& task) { write(task, task.cdb.number(2, 8), task.cdb.number(10, 4)); });
    }

    void submit(Task& task) override {
        last_cdb = task.cdb;
        ++submitted;
        server_.submit(task);
    }
    void commit() override { ++commits; }
    void manage(TaskManagementFunction function, Nexus& nexus, std::uint64_t tag,
                std::function<void(TaskManagementResponse)> done) override {
        commits_at_manage = commits;
        server_.manage(function, nexus, tag, std::move(done));
        if (hold_aborted) return;
        release();
    }
    void attach(Nexus& nexus) override {
        ++nexuses;
        server_.attach(nexus);
        static_cast<void>(server_.attentions().take(nexus.name));
        last_nexus = nexus.name;
    }
    void detach(Nexus& nexus, std::function<void()> done) override {
        server_.detach(nexus, [this, done = std::move(done)] {
            --nexuses;
            done();
        });
        if (!hold_aborted) release();
    }
    void inventory_changed(Nexus&) override { ++inventory_changes; }
    void inventory_reported(Nexus&) override {}

    /// Lets go of commands that are held, oldest first.
    void release() {
        const auto tasks = std::exchange(held_, {});
        for (Task* task : tasks) finish(*task);
    }
    [[nodiscard]] std::size_t held() const { return held_.size(); }

    std::vector<std::uint8_t> memory;
    bool hold = false;         ///< READ and WRITE wait for `release`
    bool hold_aborted = false; ///< also when they were aborted
    int submitted = 0, commits = 0, commits_at_manage = 0, nexuses = 0, inventory_changes = 0;
    Cdb last_cdb;
    NexusName last_nexus;

private:
    void add(std::uint8_t operation_code, std::size_t cdb_bytes, std::function<void(Task&)> execute) {
        std::vector<std::uint8_t> usage(cdb_bytes, 0xFF);
        usage[0] = operation_code;
        server_.add({.usage = std::move(usage), .execute = std::move(execute)});
    }
    void read(Task& task, std::uint64_t lba, std::uint64_t blocks) { start(task, lba, blocks); }
    void write(Task& task, std::uint64_t lba, std::uint64_t blocks) { start(task, lba, blocks); }
    void start(Task& task, std::uint64_t lba, std::uint64_t blocks) {
        const std::uint64_t end = memory.size() / kBlockBytes;
        if (lba > end || blocks > end - lba) {
            return server_.check(task, Sense::illegal_request(SenseCode::kLogicalBlockAddressOutOfRange));
        }
        if (!hold) return finish(task);
        held_.push_back(&task);
    }
    void finish(Task& task) {
        const bool long_cdb = task.cdb.operation_code() >= 0x80;
        const bool reads = (task.cdb.operation_code() & 0x0F) == 0x08;
        const std::uint64_t offset = task.cdb.number(2, long_cdb ? 8 : 4) * kBlockBytes;
        const std::uint64_t bytes = (long_cdb ? task.cdb.number(10, 4) : task.cdb.number(7, 2)) * kBlockBytes;
        task.transfer_bytes = bytes;
        const auto blocks = std::span(memory).subspan(offset, bytes);
        if (!reads) {
            copy_from(task.data_out, 0, blocks.first(std::min(bytes, task.data_out_bytes)));
        } else if (const std::uint64_t length = std::min(bytes, task.data_in_limit_bytes); length > 0) {
            const auto buffers = task.data_in(length);
            if (buffers.empty()) return server_.finish(task, Status::kBusy);
            task.data_in_bytes = copy_to(buffers, 0, blocks.first(length));
        }
        server_.good(task);
    }

    DeviceServer server_;
    std::deque<Task*> held_;
};

} // namespace touka::scsi::iscsi
