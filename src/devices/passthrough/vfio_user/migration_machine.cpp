#include "devices/passthrough/vfio_user/migration_machine.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "migration/archive.hpp"

namespace touka::devices::passthrough {

using spec::vfio::MigrationState;

namespace {

bool runs(MigrationState state) { return state == MigrationState::kRunning || state == MigrationState::kPreCopy; }

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
        state_ = wanted;
        return {};
    }
    // Every path between two of the others leads through STOP.
    if (const auto stopped = stop(); !stopped) return stopped;
    switch (wanted) {
        case kRunning:
        case kPreCopy: device_.resume(); break;
        case kStopCopy: {
            migration::ArchiveWriter writer;
            auto record = device_.save();
            writer(record);
            data_ = writer.take();
            break;
        }
        default: break;
    }
    state_ = wanted;
    return {};
}

std::expected<void, int> MigrationMachine::stop() {
    const MigrationState left = std::exchange(state_, MigrationState::kStop);
    if (runs(left)) device_.pause();
    if (left == MigrationState::kResuming && !load()) {
        state_ = MigrationState::kError;
        data_.clear();
        return std::unexpected(EINVAL);
    }
    data_.clear();
    read_bytes_ = 0;
    return {};
}

bool MigrationMachine::load() {
    migration::Record record;
    migration::ArchiveReader reader(data_);
    reader(record);
    return reader.complete() && device_.restore(record).has_value();
}

std::expected<std::span<const std::byte>, int> MigrationMachine::read(std::size_t length_bytes) {
    if (state_ != MigrationState::kStopCopy && state_ != MigrationState::kPreCopy) return std::unexpected(EINVAL);
    const auto next = std::span(data_).subspan(read_bytes_);
    const auto taken = next.first(std::min(length_bytes, next.size()));
    read_bytes_ += taken.size();
    return taken;
}

std::expected<void, int> MigrationMachine::write(std::span<const std::byte> bytes) {
    if (state_ != MigrationState::kResuming) return std::unexpected(EINVAL);
    if (bytes.size() > kDataLimitBytes - data_.size()) return std::unexpected(ENOSPC);
    data_.insert(data_.end(), bytes.begin(), bytes.end());
    return {};
}

void MigrationMachine::reset() {
    if (runs(state_)) device_.pause();
    device_.reset();
    device_.resume();
    data_.clear();
    read_bytes_ = 0;
    state_ = MigrationState::kRunning;
}

} // namespace touka::devices::passthrough
