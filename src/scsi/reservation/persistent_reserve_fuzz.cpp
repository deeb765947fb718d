// Initiators that send anything as PERSISTENT RESERVE OUT: every command is answered once, and what the unit then holds
// is consistent, can be told to initiators, and is found again after a loss of power.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "scsi/reservation/reservation_fixture.hpp"
#include "scsi/reservation/reservation_text.hpp"

namespace {

using namespace touka::scsi;

void expect(bool holds) {
    if (!holds) std::abort();
}

void expect_consistent(const PersistentReservationsState& state) {
    for (const auto& [nexus, key] : state.registrations) expect(key != 0);
    if (state.reservation) {
        expect(is_all_registrants(state.reservation->type) ? !state.registrations.empty()
                                                           : state.registrations.contains(state.reservation->holder));
    }
    PersistentReservationsState persistent = state;
    persistent.persists = true;
    const auto found = parse_reservation_text(reservation_text(persistent), "");
    expect(found && *found == persistent);
}

} // namespace

// Pieces of: service action with the nexus in its high bits, SCOPE and TYPE, two bytes of length, the list.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    MemoryJournal journal;
    ReservedUnit unit{{.target_ports = {1, 2}, .journal = &journal, .registration_limit = 16}};
    const std::array<Nexus*, 4> nexuses{&unit.a, &unit.b, &unit.c, &unit.a2};
    std::span<const std::uint8_t> rest(data, size);
    for (int command = 0; command < 64 && rest.size() >= 4; ++command) {
        const auto head = rest.first(4);
        const std::size_t wanted = touka::spec::scsi::load_number(head.subspan(2, 2));
        rest = rest.subspan(4);
        const auto list = rest.first(std::min(wanted, rest.size()));
        rest = rest.subspan(list.size());
        Nexus& from = *nexuses[head[0] >> 5 & 3];
        journal.fails = (head[0] & 0x80) != 0;
        const auto before = unit.commands.persistent().state();
        TestTask& task =
            unit.reserve_out(from, head[0] & 0x1F, std::vector<std::uint8_t>(list.begin(), list.end()), head[1]);
        expect(task.completed());
        const auto& state = unit.commands.persistent().state();
        if (task.status != Status::kGood) expect(state == before);
        expect_consistent(state);
        for (std::uint8_t action = 0; action < 4; ++action) expect(unit.reserve_in(from, action).completed());
    }
    return 0;
}
