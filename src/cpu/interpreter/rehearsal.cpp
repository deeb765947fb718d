#include "cpu/interpreter/rehearsal.hpp"

#include "cpu/interpreter/host_memory.hpp"

namespace touka::cpu::interpreter {

using spec::GuestAddress;

namespace {

std::byte byte_of(const memory::GuestMemory& memory, GuestAddress physical) {
    return host::load<std::byte>(memory.base() + physical.value);
}

} // namespace

void Rehearsal::start() {
    loads_.clear();
    stores_.clear();
    // Clearing takes as long as there ever were lines.
    if (stores_by_line_.bucket_count() > kManyLines)
        stores_by_line_ = {};
    else
        stores_by_line_.clear();
    bytes_.clear();
    has_given_up_ = false;
}

Rehearsal::Piece Rehearsal::keep(GuestAddress physical, std::span<const std::byte> bytes) {
    const Piece piece{physical, bytes.size(), bytes_.size()};
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return piece;
}

void Rehearsal::loaded(GuestAddress physical, std::span<std::byte> bytes) {
    loads_.push_back(keep(physical, bytes));
    if (!holds(physical, bytes.size())) return;
    for (std::size_t n = 0; n < bytes.size(); ++n)
        if (const auto stored = stored_at(physical + n, stores_.size())) bytes[n] = *stored;
}

void Rehearsal::store(GuestAddress physical, std::span<const std::byte> bytes) {
    const std::size_t number = stores_.size();
    stores_.push_back(keep(physical, bytes));
    const std::uint64_t last = (physical.value + bytes.size() - 1) / kLineBytes;
    for (std::uint64_t line = physical.value / kLineBytes; line <= last; ++line)
        stores_by_line_[line].push_back(number);
}

std::span<const std::size_t> Rehearsal::stores_near(GuestAddress physical) const {
    const auto found = stores_by_line_.find(physical.value / kLineBytes);
    if (found == stores_by_line_.end()) return {};
    return found->second;
}

bool Rehearsal::holds(GuestAddress physical, std::size_t length_bytes) const {
    const GuestAddress end = physical + length_bytes;
    for (GuestAddress at = physical; at < end; at = GuestAddress{(at.value / kLineBytes + 1) * kLineBytes})
        for (const std::size_t number : stores_near(at))
            if (const Piece& s = stores_[number]; s.physical < end && physical < s.physical + s.length_bytes)
                return true;
    return false;
}

std::optional<std::byte> Rehearsal::stored_at(GuestAddress physical, std::size_t store_count) const {
    const auto near = stores_near(physical);
    for (auto n = near.rbegin(); n != near.rend(); ++n) {
        const Piece& s = stores_[*n];
        if (*n < store_count && physical >= s.physical && physical < s.physical + s.length_bytes)
            return bytes_[s.at + (physical - s.physical)];
    }
    return std::nullopt;
}

std::optional<Rehearsal::Difference> Rehearsal::compare(const memory::GuestMemory& memory,
                                                        std::size_t store_count) const {
    for (std::size_t n = 0; n < store_count; ++n) {
        const Piece& s = stores_[n];
        for (std::size_t i = 0; i < s.length_bytes; ++i) {
            const GuestAddress at = s.physical + i;
            const std::byte rehearsed = *stored_at(at, store_count), actual = byte_of(memory, at);
            if (rehearsed != actual) return Difference{at, rehearsed, actual};
        }
    }
    return std::nullopt;
}

bool Rehearsal::has_memory_changed(const memory::GuestMemory& memory) const {
    for (const Piece& l : loads_) {
        for (std::size_t i = 0; i < l.length_bytes; ++i) {
            const GuestAddress at = l.physical + i;
            if (!holds(at, 1) && byte_of(memory, at) != bytes_[l.at + i]) return true;
        }
    }
    return false;
}

} // namespace touka::cpu::interpreter
