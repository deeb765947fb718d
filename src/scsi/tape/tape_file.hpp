#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/unique_fd.hpp"

namespace touka::scsi {

enum class TapeFileError {
    kIoError,
    kNoSpace, ///< the host's file system is full
};

/// The file below a tape image; calls wait until they are done. One thread at a time.
class TapeFile {
public:
    virtual ~TapeFile() = default;
    /// For messages.
    [[nodiscard]] virtual const std::string& name() const = 0;
    [[nodiscard]] virtual bool read_only() const = 0;
    [[nodiscard]] virtual std::expected<std::uint64_t, TapeFileError> size_bytes() = 0;
    /// @return how many bytes there were; fewer than asked for at the end of the file.
    [[nodiscard]] virtual std::expected<std::uint64_t, TapeFileError> read(std::uint64_t offset_bytes,
                                                                           std::span<const iovec> to) = 0;
    /// Writes everything; after an error any part of it may be in the file. @param from may be changed.
    [[nodiscard]] virtual std::expected<void, TapeFileError> write(std::uint64_t offset_bytes,
                                                                   std::span<iovec> from) = 0;
    [[nodiscard]] virtual std::expected<void, TapeFileError> truncate(std::uint64_t size_bytes) = 0;
    /// What was written and cut survives a power loss.
    [[nodiscard]] virtual std::expected<void, TapeFileError> synchronize() = 0;
};

/// A regular file, locked against a second user.
class HostTapeFile final : public TapeFile {
public:
    /// Opens an image; makes an empty one where there is none, unless it is to be read only.
    /// @return or a text for the user: which file, what is wrong.
    [[nodiscard]] static std::expected<std::unique_ptr<TapeFile>, std::string> open(const std::string& path,
                                                                                    bool read_only);

    [[nodiscard]] const std::string& name() const override { return path_; }
    [[nodiscard]] bool read_only() const override { return read_only_; }
    [[nodiscard]] std::expected<std::uint64_t, TapeFileError> size_bytes() override;
    [[nodiscard]] std::expected<std::uint64_t, TapeFileError> read(std::uint64_t offset_bytes,
                                                                   std::span<const iovec> to) override;
    [[nodiscard]] std::expected<void, TapeFileError> write(std::uint64_t offset_bytes, std::span<iovec> from) override;
    [[nodiscard]] std::expected<void, TapeFileError> truncate(std::uint64_t size_bytes) override;
    [[nodiscard]] std::expected<void, TapeFileError> synchronize() override;

private:
    HostTapeFile(std::string path, runtime::UniqueFd fd, bool read_only)
        : path_(std::move(path)), fd_(std::move(fd)), read_only_(read_only) {}

    std::string path_;
    runtime::UniqueFd fd_;
    bool read_only_;
};

/// Makes the entry of a file in its folder survive a power loss. @return 0 or an errno.
[[nodiscard]] int synchronize_folder_of(const std::string& path);

} // namespace touka::scsi
