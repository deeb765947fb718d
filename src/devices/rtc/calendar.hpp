#pragma once

#include <chrono>
#include <cstdint>

namespace touka::devices {

/// A point in time as a clock's face shows it, proleptic Gregorian, UTC.
struct CalendarTime {
    int year = 1970; ///< -32767 ..= 32767
    unsigned month = 1, day = 1;
    unsigned hours = 0, minutes = 0, seconds = 0;
    unsigned weekday = 5; ///< 1 is Sunday; ignored by to_seconds
    bool operator==(const CalendarTime&) const = default;
};

/// @param seconds since 1970-01-01T00:00:00Z.
[[nodiscard]] inline CalendarTime to_calendar(std::int64_t seconds) {
    using namespace std::chrono;
    const sys_seconds time{std::chrono::seconds{seconds}};
    const auto date = floor<days>(time);
    const year_month_day ymd{date};
    const hh_mm_ss clock{time - date};
    return {static_cast<int>(ymd.year()),
            static_cast<unsigned>(ymd.month()),
            static_cast<unsigned>(ymd.day()),
            static_cast<unsigned>(clock.hours().count()),
            static_cast<unsigned>(clock.minutes().count()),
            static_cast<unsigned>(clock.seconds().count()),
            weekday{date}.c_encoding() + 1};
}

/// Days, hours and so on beyond their range run over into the next unit; months are cut to 1 ..= 12.
[[nodiscard]] inline std::int64_t to_seconds(const CalendarTime& time) {
    using namespace std::chrono;
    const unsigned month_number = time.month < 1 ? 1 : (time.month > 12 ? 12 : time.month);
    const sys_days first = year{time.year} / month{month_number} / day{1};
    const auto date = first + days{static_cast<int>(time.day) - 1};
    const auto clock = hours{time.hours} + minutes{time.minutes} + std::chrono::seconds{time.seconds};
    return duration_cast<std::chrono::seconds>(date.time_since_epoch()).count() +
           duration_cast<std::chrono::seconds>(clock).count();
}

} // namespace touka::devices
