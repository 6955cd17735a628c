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

/// A place where a thread stays until another one lets it go on: what it owns may be read meanwhile.
final class Rest: Sendable {
    private let begun: Milestone
    private let over: Wakeup

    init() throws(SystemError) {
        begun = try Milestone()
        over = try Wakeup()
    }

    /// Stays here. To be called by the thread that rests.
    func take() {
        begun.reach()
        // It has no end of its own: whoever asked for it ends it, or the process.
        _ = try? over.descriptor.wait(milliseconds: -1)
    }

    /// Waits until the other is here; false when `milliseconds` are over first.
    func wait(milliseconds: Int32) -> Bool { begun.wait(milliseconds: milliseconds) }

    /// Lets the other go on.
    func end() { over.signal() }
}
