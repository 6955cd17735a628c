private import CLinux

/// Wakes another thread's poller (eventfd). Any thread may signal.
public final class Wakeup: Sendable {
    /// Becomes readable when somebody has signalled; add it to the poller that is to wake.
    public let descriptor: Descriptor

    /// A wake-up that nobody has signalled yet.
    public init() throws(SystemError) {
        descriptor = Descriptor(owning: try checked(martlet_eventfd(), "eventfd"))
    }

    /// Wakes the poller; many signals before it looks are one. Never waits and cannot fail: a counter at its limit
    /// is readable anyway.
    public func signal() { _ = martlet_eventfd_signal(descriptor.number) }

    /// Takes the signals back; whether there were any. Call it before looking at what the signal was about, so that a
    /// later signal wakes again.
    @discardableResult
    public func drain() -> Bool { martlet_eventfd_drain(descriptor.number) > 0 }
}
