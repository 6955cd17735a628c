import LinuxSystem

/// A place where one thread waits until another has come by.
final class Milestone: Sendable {
    private let wakeup: Wakeup

    init() throws(SystemError) { wakeup = try Wakeup() }

    /// The other has come by.
    func reach() { wakeup.signal() }

    /// Waits; false when `milliseconds` are over first.
    func wait(milliseconds: Int32) -> Bool { (try? wakeup.descriptor.wait(milliseconds: milliseconds)) ?? false }
}
