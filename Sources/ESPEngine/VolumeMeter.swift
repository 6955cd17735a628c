import GatewayModel

/// Watches how much an SA has carried: one comparison a packet until a limit is near.
///
/// It owns the limits and which of them were told. It never counts packets itself.
struct VolumeMeter {
    private let limits: VolumeLimits
    /// The next of the limits that is to be told.
    private var (nextPackets, nextBytes): (UInt64, UInt64)
    private var mark: VolumeMark?
    /// Whether nothing more may be carried.
    private(set) var isExhausted = false

    init(_ limits: VolumeLimits) {
        self.limits = limits
        // A soft limit above the hard one is never come to.
        nextPackets = min(limits.softPackets ?? .max, limits.hardPackets ?? .max)
        nextBytes = min(limits.softBytes ?? .max, limits.hardBytes ?? .max)
    }

    /// So much has been carried by now.
    @inline(__always)
    mutating func count(_ carried: (packets: UInt64, bytes: UInt64)) {
        if carried.packets >= nextPackets || carried.bytes >= nextBytes { pass(carried) }
    }

    /// The limit that was come to, once.
    @inline(__always)
    mutating func takeMark() -> VolumeMark? {
        guard mark != nil else { return nil }
        defer { mark = nil }
        return mark
    }

    @inline(never)
    private mutating func pass(_ carried: (packets: UInt64, bytes: UInt64)) {
        if carried.packets >= limits.hardPackets ?? .max || carried.bytes >= limits.hardBytes ?? .max {
            isExhausted = true
            mark = .hard
            (nextPackets, nextBytes) = (.max, .max)
        } else {
            mark = .soft
            // Told again from time to time: a rekeying may come to nothing.
            nextPackets = Self.next(after: carried.packets, limits.softPackets, limits.hardPackets, least: 1024)
            nextBytes = Self.next(after: carried.bytes, limits.softBytes, limits.hardBytes, least: 1 << 20)
        }
    }

    private static func next(after now: UInt64, _ soft: UInt64?, _ hard: UInt64?, least: UInt64) -> UInt64 {
        let hard = hard ?? .max
        guard let soft else { return hard }
        // What has not come to its soft limit yet still has it before it.
        guard now >= soft else { return min(soft, hard) }
        let (again, overflow) = now.addingReportingOverflow(max(soft / 16, least))
        return min(overflow ? .max : again, hard)
    }
}
