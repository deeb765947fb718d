// A file to load, read piece by piece: headers are copied and checked, contents go straight into guest RAM.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "platform/boot/boot_error.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::platform::boot {

/// Bytes that nobody has checked yet.
class Image {
public:
    virtual ~Image() = default;
    [[nodiscard]] virtual std::uint64_t size_bytes() const = 0;
    /// What messages call it.
    [[nodiscard]] virtual const std::string& name() const = 0;
    /// Fills `to` from `offset`; false when the image has no such bytes (any more).
    [[nodiscard]] virtual bool read(std::uint64_t offset, std::span<std::byte> to) const = 0;

    /// Copies one structure out. @tparam T trivially copyable.
    template <class T>
    [[nodiscard]] bool read_object(std::uint64_t offset, T& object) const {
        return read(offset, std::as_writable_bytes(std::span{&object, 1}));
    }
};

/// A file of the host; its size is that of the moment when it was opened.
class FileImage final : public Image {
public:
    /// @return kNoSuchFile, kUnreadable, kNotRegularFile or kEmptyFile on failure.
    [[nodiscard]] static std::expected<FileImage, BootError> open(const std::string& path);
    [[nodiscard]] std::uint64_t size_bytes() const override { return size_bytes_; }
    [[nodiscard]] const std::string& name() const override { return path_; }
    [[nodiscard]] bool read(std::uint64_t offset, std::span<std::byte> to) const override;

private:
    FileImage(std::string path, runtime::UniqueFd fd, std::uint64_t size_bytes)
        : path_(std::move(path)), fd_(std::move(fd)), size_bytes_(size_bytes) {}

    std::string path_;
    runtime::UniqueFd fd_;
    std::uint64_t size_bytes_;
};

/// Bytes that are in memory already. Borrows them.
class MemoryImage final : public Image {
public:
    explicit MemoryImage(std::span<const std::byte> bytes, std::string name = "image")
        : bytes_(bytes), name_(std::move(name)) {}
    [[nodiscard]] std::uint64_t size_bytes() const override { return bytes_.size(); }
    [[nodiscard]] const std::string& name() const override { return name_; }
    [[nodiscard]] bool read(std::uint64_t offset, std::span<std::byte> to) const override;

private:
    std::span<const std::byte> bytes_;
    std::string name_;
};

} // namespace touka::platform::boot
