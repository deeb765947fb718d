// Instructions run without effect: what they store is kept beside memory, and what they load is remembered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "memory/guest_memory.hpp"
#include "spec/address.hpp"

namespace touka::cpu::interpreter {

/// While a Processor has one, its stores to RAM stay here, its loads see them, and RAM keeps its bytes: other
/// processors and devices notice nothing. (Page walks still set accessed and dirty bits, which hardware also does ahead
/// of time.) An instruction that must not run without effect gives up: it works on a device, stores to a page with
/// code, or walks through a page table that was stored to. It is then to be forgotten, and so are its stores.
///
/// The processor must have no translations of data when it gets one (flush_tlb): none are made meanwhile, so that every
/// access takes the long way, which leads here.
/// @thread the processor's.
class Rehearsal {
public:
    /// Forgets everything.
    void start();

    /// `bytes` were read from RAM: remembers them, and puts in what was stored there in the meantime.
    void loaded(spec::GuestAddress physical, std::span<std::byte> bytes);
    void store(spec::GuestAddress physical, std::span<const std::byte> bytes);
    [[nodiscard]] bool holds(spec::GuestAddress physical, std::size_t length_bytes) const;
    void give_up() { has_given_up_ = true; }

    [[nodiscard]] bool has_given_up() const { return has_given_up_; }
    [[nodiscard]] std::size_t store_count() const { return stores_.size(); }

    /// A byte of RAM that the first `store_count` stores would have left different.
    struct Difference {
        spec::GuestAddress physical;
        std::byte rehearsed{}, actual{};
    };
    [[nodiscard]] std::optional<Difference> compare(const memory::GuestMemory& memory, std::size_t store_count) const;
    /// Whether somebody else has written since: a byte that was loaded and never stored to is not what it was.
    [[nodiscard]] bool has_memory_changed(const memory::GuestMemory& memory) const;

private:
    struct Piece {
        spec::GuestAddress physical;
        std::size_t length_bytes;
        std::size_t at; ///< in bytes_
    };

    /// A REP MOVS may make a million stores before it is done, each of which is looked for by each load.
    using StoresByLine = std::unordered_map<std::uint64_t, std::vector<std::size_t>>;
    static constexpr std::size_t kLineBytes = 64;
    static constexpr std::size_t kManyLines = 1024;

    /// The stores that touch the line of `physical`, in order.
    [[nodiscard]] std::span<const std::size_t> stores_near(spec::GuestAddress physical) const;
    [[nodiscard]] Piece keep(spec::GuestAddress physical, std::span<const std::byte> bytes);
    [[nodiscard]] std::optional<std::byte> stored_at(spec::GuestAddress physical, std::size_t store_count) const;

    std::vector<Piece> loads_, stores_;
    StoresByLine stores_by_line_;
    std::vector<std::byte> bytes_;
    bool has_given_up_ = false;
};

} // namespace touka::cpu::interpreter
