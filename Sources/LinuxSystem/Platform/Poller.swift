private import CLinux
public import Clockwork

/// What a poller watches for, and what it saw.
public struct Readiness: OptionSet, Hashable, Sendable {
    /// The kernel's bits (EPOLL…).
    public let rawValue: UInt32

    /// The kernel's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// There is something to read, or the end.
    public static let readable = Readiness(rawValue: 0x001)
    /// There is room to write.
    public static let writable = Readiness(rawValue: 0x004)
    /// Something is wrong: always watched for.
    public static let failed = Readiness(rawValue: 0x008)
    /// The other side is gone: always watched for.
    public static let hungUp = Readiness(rawValue: 0x010)
    /// The other side will write no more.
    public static let peerClosed = Readiness(rawValue: 0x2000)
    /// Tell of a change once, not for as long as it lasts.
    public static let edgeTriggered = Readiness(rawValue: 1 << 31)
}

/// One descriptor that became ready.
public struct PollEvent: Hashable, Sendable {
    /// The token that the descriptor was added with.
    public let token: UInt64
    /// What it is ready for.
    public let readiness: Readiness
}

/// Waits for many descriptors at once (epoll).
///
/// It belongs to the thread that waits. It does not keep the descriptors alive: remove one before it closes, or let it
/// close and forget its token.
@safe
public final class Poller {
    private let epoll: Descriptor
    private let capacity: Int
    // Owned here, freed in deinit, never handed out: epoll writes at most `capacity` entries into it.
    private let raw: UnsafeMutablePointer<martlet_event>

    /// A poller that reports at most `capacity` descriptors at a time (1 to 256).
    public init(capacity: Int = 64) throws(SystemError) {
        self.capacity = min(max(capacity, 1), 256)
        epoll = Descriptor(owning: try checked(martlet_epoll_create(), "epoll_create1"))
        unsafe raw = .allocate(capacity: self.capacity)
        unsafe raw.initialize(repeating: martlet_event(), count: self.capacity)
    }

    deinit { unsafe raw.deallocate() }

    /// Watches `descriptor`; events for it carry `token`.
    public func add(_ descriptor: Descriptor, token: UInt64, _ interests: Readiness) throws(SystemError) {
        try control(1, descriptor, interests.rawValue, token)
    }

    /// Watches for something else, or with another token.
    public func modify(_ descriptor: Descriptor, token: UInt64, _ interests: Readiness) throws(SystemError) {
        try control(3, descriptor, interests.rawValue, token)
    }

    /// Stops watching.
    public func remove(_ descriptor: Descriptor) throws(SystemError) {
        try control(2, descriptor, 0, 0)
    }

    /// Waits until something is ready or `timeout` is over (nil: for ever; zero or less: only looks), and replaces the
    /// contents of `events`, whose memory is kept.
    public func wait(timeout: Interval?, into events: inout [PollEvent]) throws(SystemError) {
        events.removeAll(keepingCapacity: true)
        let nanoseconds = timeout.map { max($0.nanoseconds, 0) } ?? -1
        // `raw` has room for `capacity` entries.
        let count = try checked(
            unsafe martlet_epoll_wait(epoll.number, raw, Int32(capacity), nanoseconds), "epoll_pwait2")
        for index in 0..<Int(count) {
            let event = unsafe raw[index]
            events.append(PollEvent(token: event.token, readiness: Readiness(rawValue: event.events)))
        }
    }

    private func control(
        _ operation: Int32, _ descriptor: Descriptor, _ events: UInt32, _ token: UInt64
    ) throws(SystemError) {
        _ = try checked(
            martlet_epoll_control(epoll.number, operation, descriptor.number, events, token), "epoll_ctl",
            descriptor.description)
    }
}
