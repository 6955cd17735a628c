private import CLinux

/// What a service manager keeps open for a daemon while that is restarted: sd_notify's FDSTORE.
///
/// It owns nothing but the way to the manager, which has a duplicate of whatever it takes. It says nothing of what the
/// descriptors mean; ``PassedDescriptors`` gives them to the next process.
public struct DescriptorStore: Sendable {
    private let notification: ServiceNotification
    /// How long the manager may leave a message unread.
    private static let patience: Int32 = 2_000
    private static let longestName = 255

    /// Talks to the service manager.
    public init(_ notification: ServiceNotification) { self.notification = notification }

    /// Gives the manager a duplicate of a descriptor, by a name (255 printable characters at most, no colon).
    /// It is kept whatever becomes of the other end: errors that wait at a socket are no reason to let go of it.
    /// Whether it really is kept, ``confirms(_:milliseconds:)`` says.
    public func keep(_ descriptor: Int32, as name: String) throws(SystemError) {
        guard Self.isName(name) else {
            throw SystemError(call: "FDSTORE", errno: .invalidArgument, context: name)
        }
        try send("FDSTORE=1\nFDNAME=\(name)\nFDPOLL=0", with: descriptor)
    }

    /// Lets the manager close all that it keeps by a name. It may take a moment longer than ``settle(milliseconds:)``.
    public func forget(_ name: String) throws(SystemError) {
        guard Self.isName(name) else {
            throw SystemError(call: "FDSTOREREMOVE", errno: .invalidArgument, context: name)
        }
        try send("FDSTOREREMOVE=1\nFDNAME=\(name)", with: nil)
    }

    /// Waits until the manager has read everything so far; false when it does not within that time.
    public func settle(milliseconds: Int32) throws(SystemError) -> Bool {
        let pair = try Pair()
        do throws(SystemError) { try send("BARRIER=1", with: pair.theirs) } catch {
            pair.closeTheirs()
            throw error
        }
        pair.closeTheirs()
        return try pair.hasEnded(milliseconds: milliseconds)
    }

    /// Whether the manager keeps everything that it was given so far. It is asked by a descriptor of no use, named `name`,
    /// which it takes only if there was room for those before; nobody would know otherwise, since it never answers.
    public func confirms(_ name: String, milliseconds: Int32) throws(SystemError) -> Bool {
        let pair = try Pair()
        do throws(SystemError) { try keep(pair.theirs, as: name) } catch {
            pair.closeTheirs()
            throw error
        }
        pair.closeTheirs()
        guard try settle(milliseconds: milliseconds) else { return false }
        // What is refused is closed, by the manager perhaps a moment after it has read the message.
        if try pair.hasEnded(milliseconds: 50) { return false }
        try forget(name)
        return true
    }

    /// Two connected ends. The other one is closed here as soon as the manager has a duplicate, so that ours ends when
    /// the manager closes that.
    private struct Pair {
        let ours: UnixStream
        let theirs: Int32

        init() throws(SystemError) {
            var first: Int32 = 0
            var second: Int32 = 0
            // Two local variables that the shim fills.
            _ = try checked(unsafe martlet_unix_pair(&first, &second), "socketpair")
            ours = UnixStream(descriptor: Descriptor(owning: first))
            theirs = second
        }

        func closeTheirs() { _ = martlet_close(theirs) }

        /// Whether nobody has the other end any more.
        func hasEnded(milliseconds: Int32) throws(SystemError) -> Bool {
            guard try ours.descriptor.wait(milliseconds: milliseconds) else { return false }
            var octet: [UInt8] = [0]
            return try ours.read(into: &octet) == .end
        }
    }

    private func send(_ text: String, with descriptor: Int32?) throws(SystemError) {
        try notification.send(text, with: descriptor, patience: Self.patience)
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= longestName
            && name.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: ":") }
    }
}

/// Descriptors that a service manager gives to a process that it starts (sd_listen_fds): what it listens at for it, and
/// what an earlier process left in its ``DescriptorStore``.
public enum PassedDescriptors {
    /// One of them.
    public struct Passed: Hashable, Sendable {
        /// Its name; empty when it has none.
        public var name: String
        /// Its number, which belongs to whoever asks.
        public var number: Int32

        /// A descriptor of that name.
        public init(name: String, number: Int32) {
            self.name = name
            self.number = number
        }
    }

    /// The variables that speak of them.
    public static let variables = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"]
    private static let first: Int32 = 3
    private static let most: Int32 = 65_536

    /// Takes them over, for this process alone: children do not get them. To be called once. Empty when the manager has
    /// none, or means another process.
    public static func take() throws(SystemError) -> [Passed] {
        let found = passed(
            to: ProcessInformation.environment("LISTEN_PID"), count: ProcessInformation.environment("LISTEN_FDS"),
            names: ProcessInformation.environment("LISTEN_FDNAMES"), process: ProcessInformation.identifier)
        for passed in found { try ProcessSuccession.keep(passed.number, false) }
        return found
    }

    /// What the three variables say to `process`.
    static func passed(to pid: String?, count: String?, names: String?, process: Int32) -> [Passed] {
        guard let pid, Int32(pid) == process, let text = count, let count = Int32(text), count > 0, count <= most else {
            return []
        }
        let words = (names ?? "").split(separator: ":", omittingEmptySubsequences: false)
        let isNamed = words.count == Int(count)
        return (0..<count).map { place in
            Passed(name: isNamed ? String(words[Int(place)]) : "", number: first + place)
        }
    }
}
