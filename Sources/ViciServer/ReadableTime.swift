import Clockwork

/// Dates and spans of time as people read them.
///
/// It owns the proleptic Gregorian calendar in UTC. It never asks what time it is.
enum ReadableTime {
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `Nov 21 12:34:56 2026` in UTC, for seconds since 1970.
    static func text(unixTime: Int64) -> String {
        let (days, seconds) = split(unixTime, 86_400)
        let date = civil(daysSince1970: days)
        let time = [seconds / 3600, seconds / 60 % 60, seconds % 60].map { ($0 < 10 ? "0" : "") + String($0) }
        return "\(months[date.month - 1]) \(date.day) \(time.joined(separator: ":")) \(date.year)"
    }

    /// `3 hours`, `12 minutes`: the largest unit that is at least two, as status output has it.
    static func span(_ interval: Interval) -> String {
        let seconds = max(0, interval.wholeSeconds)
        for (unit, name) in [(86_400, "days"), (3_600, "hours"), (60, "minutes")] as [(Int64, String)]
        where seconds >= 2 * unit {
            return "\(seconds / unit) \(name)"
        }
        return "\(seconds) seconds"
    }

    /// The date, by counting years from March so that the leap day comes last (era of 400 years = 146,097 days).
    private static func civil(daysSince1970 days: Int64) -> (year: Int64, month: Int, day: Int64) {
        let (era, dayOfEra) = split(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = Int(marchMonth < 10 ? marchMonth + 3 : marchMonth - 9)
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    /// Quotient and remainder, the remainder never negative.
    private static func split(_ value: Int64, _ unit: Int64) -> (quotient: Int64, remainder: Int64) {
        let remainder = (value % unit + unit) % unit
        return ((value - remainder) / unit, remainder)
    }
}
