/// A moment as people write it: a date of the Gregorian calendar and a time of day, in UTC.
///
/// It owns the arithmetic. It never asks what time it is.
public struct CivilTime: Hashable, Sendable, CustomStringConvertible {
    /// The year.
    public let year: Int64
    /// The month, 1 to 12.
    public let month: Int
    /// The day of the month, 1 to 31.
    public let day: Int
    /// The hour, 0 to 23.
    public let hour: Int
    /// The minute, 0 to 59.
    public let minute: Int
    /// The second, 0 to 59.
    public let second: Int

    /// The moment that lies `seconds` after the start of 1970.
    public init(unixSeconds seconds: Int64) {
        let (days, time) = Self.split(seconds, 86_400)
        // Years are counted from March, so that the leap day is a year's last, in eras of 400 years or 146,097 days.
        let (era, dayOfEra) = Self.split(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = Int(dayOfYear - (153 * marchMonth + 2) / 5 + 1)
        month = Int(marchMonth < 10 ? marchMonth + 3 : marchMonth - 9)
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        hour = Int(time / 3600)
        minute = Int(time / 60 % 60)
        second = Int(time % 60)
    }

    /// As RFC 3339 has it: `2026-11-21T12:34:56Z`.
    public var description: String {
        "\(year)-\(Self.two(month))-\(Self.two(day))T\(timeOfDay)Z"
    }

    /// `12:34:56`.
    public var timeOfDay: String { [hour, minute, second].map(Self.two).joined(separator: ":") }

    private static func two(_ number: Int) -> String { (number < 10 ? "0" : "") + String(number) }

    /// Quotient and remainder, the remainder never negative.
    private static func split(_ value: Int64, _ unit: Int64) -> (quotient: Int64, remainder: Int64) {
        let remainder = (value % unit + unit) % unit
        return ((value - remainder) / unit, remainder)
    }
}
