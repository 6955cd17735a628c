/// A point in time on a clock that never goes back, counted in nanoseconds from an arbitrary start.
///
/// Engines are told the time; they never ask for it. The daemon passes the monotonic clock, the simulator its own.
public struct Instant: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Nanoseconds since the clock's start.
    public var nanoseconds: Int64

    /// A point `nanoseconds` after the clock's start.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// The clock's start.
    public static let zero = Instant(nanoseconds: 0)
    /// Later than any time that a clock shows.
    public static let distantFuture = Instant(nanoseconds: .max)

    /// The earlier one; nil where there is neither.
    @inlinable
    public static func earlier(_ first: Instant?, _ second: Instant?) -> Instant? {
        guard let first, let second else { return first ?? second }
        return min(first, second)
    }

    /// Order in time.
    public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

    /// Later by `interval`; stops at the ends of time instead of wrapping.
    public static func + (left: Instant, interval: Interval) -> Instant {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(interval.nanoseconds)
        return Instant(nanoseconds: overflow ? (interval.nanoseconds > 0 ? .max : .min) : sum)
    }

    /// Earlier by `interval`; stops at the ends of time instead of wrapping.
    public static func - (left: Instant, interval: Interval) -> Instant {
        let (difference, overflow) = left.nanoseconds.subtractingReportingOverflow(interval.nanoseconds)
        return Instant(nanoseconds: overflow ? (interval.nanoseconds > 0 ? .min : .max) : difference)
    }

    /// From `right` to `left`.
    public static func - (left: Instant, right: Instant) -> Interval {
        let (difference, overflow) = left.nanoseconds.subtractingReportingOverflow(right.nanoseconds)
        return Interval(nanoseconds: overflow ? (left > right ? .max : .min) : difference)
    }

    /// Seconds with milliseconds.
    public var description: String { Interval(nanoseconds: nanoseconds).description }
}

/// A span of time in nanoseconds; negative when it goes back. (Swift's `Duration` counts attoseconds in 128 bits, which
/// is more than a packet wants to pay.)
public struct Interval: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Length in nanoseconds.
    public var nanoseconds: Int64

    /// A span of `nanoseconds`.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// No time at all.
    public static let zero = Interval(nanoseconds: 0)

    /// A span of whole seconds; the largest there is when it does not fit.
    public static func seconds(_ count: Int64) -> Interval { saturating(count, 1_000_000_000) }
    /// A span of whole milliseconds.
    public static func milliseconds(_ count: Int64) -> Interval { saturating(count, 1_000_000) }
    /// A span of whole microseconds.
    public static func microseconds(_ count: Int64) -> Interval { saturating(count, 1_000) }
    /// A span of whole minutes.
    public static func minutes(_ count: Int64) -> Interval { saturating(count, 60_000_000_000) }
    /// A span of whole hours.
    public static func hours(_ count: Int64) -> Interval { saturating(count, 3_600_000_000_000) }

    private static func saturating(_ count: Int64, _ unit: Int64) -> Interval {
        let (product, overflow) = count.multipliedReportingOverflow(by: unit)
        return Interval(nanoseconds: overflow ? (count > 0 ? .max : .min) : product)
    }

    /// Whole seconds, rounded towards zero.
    public var wholeSeconds: Int64 { nanoseconds / 1_000_000_000 }
    /// Seconds with their fraction.
    public var seconds: Double { Double(nanoseconds) / 1e9 }

    /// By length.
    public static func < (left: Interval, right: Interval) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The sum; the largest there is when it does not fit.
    public static func + (left: Interval, right: Interval) -> Interval {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(right.nanoseconds)
        return Interval(nanoseconds: overflow ? (right.nanoseconds > 0 ? .max : .min) : sum)
    }

    /// The difference; the largest there is when it does not fit.
    public static func - (left: Interval, right: Interval) -> Interval {
        let (difference, overflow) = left.nanoseconds.subtractingReportingOverflow(right.nanoseconds)
        return Interval(nanoseconds: overflow ? (right.nanoseconds > 0 ? .min : .max) : difference)
    }

    /// The span stretched by `factor`, which is not negative; the largest there is when it does not fit.
    public func scaled(by factor: Double) -> Interval {
        let product = Double(nanoseconds) * factor
        return Interval(nanoseconds: product >= 9.2e18 ? .max : product <= -9.2e18 ? .min : Int64(product))
    }

    /// Seconds with milliseconds, `1.500s`.
    public var description: String {
        let milliseconds = (nanoseconds / 1_000_000).magnitude
        let fraction = String(milliseconds % 1000)
        let padded = String(repeating: "0", count: 3 - fraction.utf8.count) + fraction
        return "\(nanoseconds < 0 ? "-" : "")\(milliseconds / 1000).\(padded)s"
    }
}
