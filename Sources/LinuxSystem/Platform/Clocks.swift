private import CLinux
public import Clockwork

/// The clock that engines are given (CLOCK_MONOTONIC): it never goes back and stands still while the machine sleeps.
public enum MonotonicClock {
    /// The time now.
    public static func now() -> Instant { Instant(nanoseconds: martlet_clock_monotonic()) }

    /// Holds up the calling thread until then, or until it gets a signal.
    public static func sleep(until instant: Instant) { martlet_sleep_monotonic(instant.nanoseconds) }
}

/// Like ``MonotonicClock``, but it runs on while the machine sleeps (CLOCK_BOOTTIME): for lifetimes that the peer counts
/// as well, on machines that are suspended. Its instants must not be compared with the other clock's.
public enum BootClock {
    /// The time now.
    public static func now() -> Instant { Instant(nanoseconds: martlet_clock_boot()) }
}

/// The time of day: for logs, certificates and files. It may jump.
public enum WallClock {
    /// Whole seconds since 1 January 1970, UTC.
    public static func now() -> Int64 { martlet_clock_wall() / 1_000_000_000 }

    /// Nanoseconds since 1 January 1970, UTC.
    public static func nanoseconds() -> Int64 { martlet_clock_wall() }
}
