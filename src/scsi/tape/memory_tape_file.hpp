// For tests: a tape's file in memory, that can fail and can show what a power loss would leave.
#pragma once

#include <cstring>
#include <memory>
#include <optional>

#include "scsi/tape/tape_file.hpp"

namespace touka::scsi {

class MemoryTapeFile final : public TapeFile {
public:
    struct Contents {
        std::vector<std::uint8_t> bytes;
        std::vector<std::uint8_t> stable; ///< as synchronized last
        unsigned synchronizations = 0;
        std::uint64_t bytes_read = 0;
        std::optional<std::uint64_t> limit_bytes; ///< writes beyond end as on a full file system
        bool fail_reads = false, fail_writes = false, fail_synchronize = false;
        bool read_only = false;
    };
    explicit MemoryTapeFile(std::shared_ptr<Contents> contents) : contents_(std::move(contents)) {}

    [[nodiscard]] const std::string& name() const override { return name_; }
    [[nodiscard]] bool read_only() const override { return contents_->read_only; }
    [[nodiscard]] std::expected<std::uint64_t, TapeFileError> size_bytes() override { return contents_->bytes.size(); }
    [[nodiscard]] std::expected<std::uint64_t, TapeFileError> read(std::uint64_t offset_bytes,
                                                                   std::span<const iovec> to) override {
        if (contents_->fail_reads) return std::unexpected(TapeFileError::kIoError);
        std::uint64_t done = 0;
        for (const iovec& vector : to) {
            const std::uint64_t at = offset_bytes + done;
            if (at >= contents_->bytes.size()) break;
            const std::uint64_t length = std::min<std::uint64_t>(vector.iov_len, contents_->bytes.size() - at);
            std::memcpy(vector.iov_base, contents_->bytes.data() + at, length);
            done += length;
        }
        contents_->bytes_read += done;
        return done;
    }
    [[nodiscard]] std::expected<void, TapeFileError> write(std::uint64_t offset_bytes, std::span<iovec> from) override {
        if (contents_->fail_writes) return std::unexpected(TapeFileError::kIoError);
        for (const iovec& vector : from) {
            std::uint64_t length = vector.iov_len;
            if (contents_->limit_bytes) {
                const std::uint64_t limit = *contents_->limit_bytes;
                length = std::min(length, offset_bytes >= limit ? 0 : limit - offset_bytes);
            }
            if (contents_->bytes.size() < offset_bytes + length) contents_->bytes.resize(offset_bytes + length);
            std::memcpy(contents_->bytes.data() + offset_bytes, vector.iov_base, length);
            if (length != vector.iov_len) return std::unexpected(TapeFileError::kNoSpace);
            offset_bytes += length;
        }
        return {};
    }
    [[nodiscard]] std::expected<void, TapeFileError> truncate(std::uint64_t size_bytes) override {
        contents_->bytes.resize(size_bytes);
        return {};
    }
    [[nodiscard]] std::expected<void, TapeFileError> synchronize() override {
        ++contents_->synchronizations;
        if (contents_->fail_synchronize) return std::unexpected(TapeFileError::kIoError);
        contents_->stable = contents_->bytes;
        return {};
    }

private:
    std::shared_ptr<Contents> contents_;
    std::string name_ = "memory.tap";
};

} // namespace touka::scsi
