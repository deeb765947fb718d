#include "devices/passthrough/vfio_user/migration_machine.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "migration/archive.hpp"

namespace touka::devices::passthrough {

using spec::vfio::MigrationState;

namespace {

bool runs(MigrationState state) { return state == MigrationState::kRunning || state == MigrationState::kPreCopy; }

constexpr std::size_t kLengthBytes = sizeof(std::uint64_t);

/// @pre `at` has kLengthBytes.
std::uint64_t length_at(std::span<const std::byte> at) {
    std::uint64_t length = 0;
    migration::ArchiveReader(at.first(kLengthBytes))(length);
    return length;
}

} // namespace

std::expected<void, int> MigrationMachine::set(MigrationState wanted) {
    using enum MigrationState;
    if (wanted != kStop && wanted != kRunning && wanted != kPreCopy && wanted != kStopCopy && wanted != kResuming) {
        return std::unexpected(EINVAL);
    }
    // There is no way back from the one to the other, not even through others.
    if (state_ == kError || (state_ == kStopCopy && wanted == kPreCopy)) return std::unexpected(EINVAL);
    if (wanted == state_) return {};
    if (runs(state_) && runs(wanted)) {
        forget_data();
        state_ = wanted;
        return {};
    }
    // Every path between two of the others leads through STOP.
    if (const auto stopped = stop(); !stopped) return stopped;
    switch (wanted) {
        case kRunning:
        case kPreCopy: device_.resume(); break;
        case kStopCopy: save(); break;
        default: break;
    }
    state_ = wanted;
    return {};
}

std::expected<void, int> MigrationMachine::stop() {
    const MigrationState left = std::exchange(state_, MigrationState::kStop);
    if (runs(left)) device_.pause();
    if (left == MigrationState::kResuming && !load_last()) {
        state_ = MigrationState::kError;
        forget_data();
        return std::unexpected(EINVAL);
    }
    forget_data();
    return {};
}

void MigrationMachine::forget_data() {
    data_.clear();
    read_bytes_ = 0;
    first_seen_ = false;
}

void MigrationMachine::save() {
    auto record = device_.save();
    std::uint64_t length = 0; // known when the record is written
    migration::ArchiveWriter writer;
    writer(length, record, length);
    data_ = writer.take();
    length = data_.size() - 2 * kLengthBytes;
    migration::ArchiveWriter length_writer;
    length_writer(length);
    const auto length_bytes = length_writer.take();
    std::ranges::copy(length_bytes, data_.begin());
    std::ranges::copy(length_bytes, data_.end() - kLengthBytes);
}

bool MigrationMachine::load_last() {
    if (data_.size() < 2 * kLengthBytes) return false;
    const auto before = std::span<const std::byte>(data_).first(data_.size() - kLengthBytes);
    const std::uint64_t length = length_at(std::span(data_).last(kLengthBytes));
    return length <= before.size() - kLengthBytes && load(before.last(length));
}

bool MigrationMachine::load(std::span<const std::byte> bytes) {
    migration::Record record;
    migration::ArchiveReader reader(bytes);
    reader(record);
    if (!reader.complete()) return false;
    device_.reset(); // of what was loaded before it
    return device_.restore(record).has_value();
}

std::expected<std::span<const std::byte>, int> MigrationMachine::read(std::size_t length_bytes) {
    if (state_ != MigrationState::kStopCopy && state_ != MigrationState::kPreCopy) return std::unexpected(EINVAL);
    if (data_.empty()) {
        device_.pause();
        save();
        device_.resume();
    }
    const auto next = std::span(data_).subspan(read_bytes_);
    const auto taken = next.first(std::min(length_bytes, next.size()));
    read_bytes_ += taken.size();
    return taken;
}

std::expected<void, int> MigrationMachine::write(std::span<const std::byte> bytes) {
    if (state_ != MigrationState::kResuming) return std::unexpected(EINVAL);
    if (bytes.size() > kDataLimitBytes - data_.size()) return std::unexpected(ENOSPC);
    data_.insert(data_.end(), bytes.begin(), bytes.end());
    if (first_seen_ || data_.size() < 2 * kLengthBytes) return {};
    const std::uint64_t length = length_at(data_);
    if (length > data_.size() - 2 * kLengthBytes) return {};
    first_seen_ = true;
    const auto rest = std::span<const std::byte>(data_).subspan(kLengthBytes);
    // Another length after it: PRE_COPY was left before its state was read to the end.
    if (length_at(rest.subspan(length)) != length || load(rest.first(length))) return {};
    return std::unexpected(EINVAL);
}

void MigrationMachine::reset() {
    if (runs(state_)) device_.pause();
    device_.reset();
    device_.resume();
    forget_data();
    state_ = MigrationState::kRunning;
}

} // namespace touka::devices::passthrough
