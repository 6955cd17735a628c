private import CLinux

/// A signal that means something to a daemon.
public enum ProcessSignal: Int32, Hashable, Sendable, CaseIterable {
    /// Read the configuration again.
    case hangUp = 1
    /// Stop: from the terminal.
    case interrupt = 2
    /// Leave everything to the service manager, which is about to start another process (SIGUSR1).
    case leave = 10
    /// Let another process go on from here (SIGUSR2).
    case handOver = 12
    /// Stop.
    case terminate = 15
}

/// Makes signals readable from a descriptor (signalfd), so that nothing of ours runs in a signal handler.
///
/// Make it in the main thread before any other thread starts: threads inherit the blocked signals. It also ignores
/// SIGPIPE for the process. The signals stay blocked when the watcher goes.
public final class SignalWatcher: Sendable {
    /// Becomes readable when a signal has come.
    public let descriptor: Descriptor

    /// Blocks `signals` and watches for them.
    public init(_ signals: [ProcessSignal] = ProcessSignal.allCases) throws(SystemError) {
        _ = try checked(martlet_ignore_broken_pipes(), "signal", "SIGPIPE")
        let numbers = signals.map(\.rawValue)
        // The array's own elements, for the length of the call.
        let result = unsafe numbers.withUnsafeBufferPointer { numbers in
            unsafe martlet_signalfd(numbers.baseAddress, Int32(numbers.count))
        }
        descriptor = Descriptor(owning: try checked(result, "signalfd"))
    }

    /// The next signal; nil when none has come.
    public func next() throws(SystemError) -> ProcessSignal? {
        try checkedUnlessBlocked(martlet_signal_read(descriptor.number), "signalfd read").flatMap {
            ProcessSignal(rawValue: $0)
        }
    }
}
