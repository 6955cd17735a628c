import GatewayModel

/// Watches how much an SA has carried: one comparison a packet until a limit is near.
///
/// It owns the limits and which of them were told. It never counts packets itself.
struct VolumeMeter {
    // As many as there are SAs: numbers, and no optional ones, `.max` for no limit.
    private let (softPackets, hardPackets, softBytes, hardBytes): (UInt64, UInt64, UInt64, UInt64)
    /// The next of the limits that is to be told.
    private var (nextPackets, nextBytes): (UInt64, UInt64)
    private var mark: VolumeMark?
    /// Whether nothing more may be carried.
    private(set) var isExhausted = false

    init(_ limits: VolumeLimits) {
        (softPackets, hardPackets) = (limits.softPackets ?? .max, limits.hardPackets ?? .max)
        (softBytes, hardBytes) = (limits.softBytes ?? .max, limits.hardBytes ?? .max)
        // A soft limit above the hard one is never come to.
        nextPackets = min(softPackets, hardPackets)
        nextBytes = min(softBytes, hardBytes)
    }

    /// The limits that it watches.
    var limits: VolumeLimits {
        func limit(_ value: UInt64) -> UInt64? { value == .max ? nil : value }
        var limits = VolumeLimits()
        limits.softPackets = limit(softPackets)
        limits.hardPackets = limit(hardPackets)
        limits.softBytes = limit(softBytes)
        limits.hardBytes = limit(hardBytes)
        return limits
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
        if carried.packets >= hardPackets || carried.bytes >= hardBytes {
            isExhausted = true
            mark = .hard
            (nextPackets, nextBytes) = (.max, .max)
        } else {
            mark = .soft
            // Told again from time to time: a rekeying may come to nothing.
            nextPackets = Self.next(after: carried.packets, softPackets, hardPackets, least: 1024)
            nextBytes = Self.next(after: carried.bytes, softBytes, hardBytes, least: 1 << 20)
        }
    }

    private static func next(after now: UInt64, _ soft: UInt64, _ hard: UInt64, least: UInt64) -> UInt64 {
        // What has not come to its soft limit yet still has it before it.
        guard now >= soft else { return min(soft, hard) }
        let (again, overflow) = now.addingReportingOverflow(max(soft / 16, least))
        return min(overflow ? .max : again, hard)
    }
}
