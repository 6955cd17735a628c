private import CLinux
public import Clockwork

/// Tells the service manager how the daemon is doing (sd_notify).
public struct ServiceNotification: Sendable {
    private let descriptor: Descriptor
    private let path: String

    /// Talks to the socket at `path` (`@name` for the abstract name space).
    public init(socketPath path: String) throws(SystemError) {
        try checkedText(path, "NOTIFY_SOCKET")
        self.path = path
        descriptor = Descriptor(owning: try checked(martlet_unix_socket(true), "socket", "Unix datagram"))
    }

    /// Talks to the socket that the environment names; nil when there is no service manager.
    public static func fromEnvironment() throws(SystemError) -> ServiceNotification? {
        guard let path = ProcessInformation.environment("NOTIFY_SOCKET"), !path.isEmpty else { return nil }
        return try ServiceNotification(socketPath: path)
    }

    /// Start-up is over. `status` is a line for `systemctl status`.
    public func ready(status: String) throws(SystemError) { try send("READY=1\nSTATUS=\(Self.line(status))") }

    /// A line for `systemctl status`.
    public func status(_ text: String) throws(SystemError) { try send("STATUS=\(Self.line(text))") }

    /// The configuration is being read again; end with ``ready(status:)``.
    public func reloading() throws(SystemError) {
        try send("RELOADING=1\nMONOTONIC_USEC=\(martlet_clock_monotonic() / 1000)")
    }

    /// The daemon is going.
    public func stopping() throws(SystemError) { try send("STOPPING=1") }

    /// The daemon is alive.
    public func watchdog() throws(SystemError) { try send("WATCHDOG=1") }

    /// How often a sign of life has to come (WatchdogSec=); nil when nobody waits for one.
    public static var watchdogInterval: Interval? {
        watchdogInterval(
            ProcessInformation.environment("WATCHDOG_USEC"), of: ProcessInformation.environment("WATCHDOG_PID"),
            process: ProcessInformation.identifier)
    }

    /// What the two variables say to `process`.
    static func watchdogInterval(_ microseconds: String?, of pid: String?, process: Int32) -> Interval? {
        let isMeant = pid.map { Int32($0) == process } ?? true
        guard let count = microseconds.flatMap({ Int64($0) }), count > 0, isMeant else { return nil }
        return .microseconds(count)
    }

    private func send(_ state: String) throws(SystemError) { try send(state, with: nil, patience: 0) }

    /// Sends a message, with a descriptor or without; a queue that is full is waited for that many milliseconds.
    func send(_ state: String, with passed: Int32?, patience: Int32) throws(SystemError) {
        // Connected for each message: the manager may have made its socket anew. A checked string, ended by a zero.
        _ = try checked(unsafe martlet_unix_connect(descriptor.number, path), "connect", path)
        let bytes = Array(state.utf8)
        func attempt() -> Int64 {
            // The array lives for the length of the call.
            unsafe bytes.withUnsafeBytes { bytes in
                guard let passed else {
                    return unsafe martlet_socket_send(descriptor.number, bytes.baseAddress, bytes.count)
                }
                return unsafe martlet_socket_send_descriptor(
                    descriptor.number, bytes.baseAddress, bytes.count, passed)
            }
        }
        if try checkedUnlessBlocked(attempt(), "send") != nil { return }
        _ = try descriptor.wait(writing: true, milliseconds: patience)
        _ = try checked(attempt(), "send", path)
    }

    private static func line(_ text: String) -> String {
        String(decoding: text.utf8.map { $0 == 10 ? 32 : $0 }, as: UTF8.self)
    }
}
