import Clockwork
import GatewayModel
import NetworkTypes

/// Octets and packets of a session, seen from the gateway: in is what the peer has sent.
struct SessionUsage: Hashable, Sendable {
    var octetsIn: UInt64 = 0
    var octetsOut: UInt64 = 0
    var packetsIn: UInt64 = 0
    var packetsOut: UInt64 = 0

    mutating func add(_ direction: SecurityAssociation.Direction, _ counters: SACounters) {
        switch direction {
        case .inbound:
            octetsIn &+= counters.bytes
            packetsIn &+= counters.packets
        case .outbound:
            octetsOut &+= counters.bytes
            packetsOut &+= counters.packets
        }
    }

    /// As a server counts them: octets in two halves of 32 bits each (RFC 2866 §5.3, RFC 2869 §5.1).
    var attributes: [RADIUSAttribute] {
        [
            RADIUSAttribute(.acctInputOctets, number: UInt32(truncatingIfNeeded: octetsIn)),
            RADIUSAttribute(.acctOutputOctets, number: UInt32(truncatingIfNeeded: octetsOut)),
            RADIUSAttribute(.acctInputPackets, number: UInt32(truncatingIfNeeded: packetsIn)),
            RADIUSAttribute(.acctOutputPackets, number: UInt32(truncatingIfNeeded: packetsOut)),
            RADIUSAttribute(.acctInputGigawords, number: UInt32(truncatingIfNeeded: octetsIn >> 32)),
            RADIUSAttribute(.acctOutputGigawords, number: UInt32(truncatingIfNeeded: octetsOut >> 32)),
        ]
    }
}

/// Why a session ended, as servers number it (RFC 2866 §5.10).
enum TerminateCause: UInt32, Sendable {
    case userRequest = 1
    case lostCarrier = 2
    case idleTimeout = 4
    case sessionTimeout = 5
    case adminReset = 6
    case adminReboot = 7
    case nasError = 9
    case nasRequest = 10

    init(_ reason: Event.CloseReason) {
        self =
            switch reason {
            case .byPeer: .userRequest
            case .peerDead: .lostCarrier
            case .expired: .sessionTimeout
            case .inactive: .idleTimeout
            case .asked: .adminReset
            case .shutdown: .adminReboot
            case .failed: .nasError
            case .replaced, .ikeSAEnded: .nasRequest
            }
    }
}

/// One session: an IKE SA of a peer's, and those that took its place by rekeying.
struct AccountedSession: Sendable {
    /// Who and where.
    var station: Station
    /// What the server calls the user, else what EAP or IKE does.
    var userName: [UInt8]
    /// The user's virtual addresses.
    var addresses: [IPAddress]
    /// What the server allowed; nil where it was not asked.
    var authorization: Authorization?
    /// When it began.
    var began: Instant
    /// The IKE SAs that carry it.
    var members: Set<IKESAID>
    /// What SAs that are gone have carried.
    var carried = SessionUsage()
    /// The SAs that carry it now.
    var children: [ChildSAID: Child] = [:]
    /// When it ends by itself.
    var ends: Instant?
    /// Why it is about to end, where the gateway would name another cause.
    var cause: TerminateCause?
    /// Whether the server was told that it began.
    var isTold = false

    /// One Child SA's directions, each until it is gone.
    struct Child: Hashable, Sendable {
        var inbound: UInt32?
        var outbound: UInt32?
    }

    /// All that it has carried; `meter` tells what an SA has.
    func usage(_ meter: NetworkAccessServer.Meter) -> SessionUsage {
        var sum = carried
        // Sums do not depend on the order.
        for child in children.values {
            if let spi = child.inbound, let counters = meter(.inbound, spi) { sum.add(.inbound, counters) }
            if let spi = child.outbound, let counters = meter(.outbound, spi) { sum.add(.outbound, counters) }
        }
        return sum
    }

    /// What an Accounting-Request tells of it.
    enum Report: Hashable, Sendable {
        case start
        case interim
        case stop(TerminateCause)

        /// Acct-Status-Type (RFC 2866 §5.1).
        var number: UInt32 {
            switch self {
            case .start: 1
            case .stop: 2
            case .interim: 3
            }
        }
    }

    /// The attributes of a report; `unixTime` in seconds since 1970.
    func attributes(
        _ report: Report, _ settings: RADIUSSettings, _ usage: SessionUsage, _ now: Instant, unixTime: Int64
    ) -> [RADIUSAttribute] {
        var list = [RADIUSAttribute(.acctStatusType, number: report.number)]
        list += station.attributes(withPorts: settings.stationsHavePorts)
        list.append(RADIUSAttribute(.userName, userName))
        // By RADIUS, or by ourselves (RFC 2866 §5.6).
        list.append(RADIUSAttribute(.acctAuthentic, number: authorization == nil ? 2 : 1))
        for address in addresses {
            list.append(RADIUSAttribute(address.family == .v4 ? .framedIPAddress : .framedIPv6Address, address))
        }
        if settings.returnsClass {
            list += (authorization?.classes ?? []).map { RADIUSAttribute(.classAttribute, $0) }
        }
        list.append(RADIUSAttribute(.eventTimestamp, number: UInt32(truncatingIfNeeded: unixTime)))
        guard report != .start else { return list }
        list.append(RADIUSAttribute(.acctSessionTime, number: UInt32(clamping: (now - began).wholeSeconds)))
        list += usage.attributes
        if case .stop(let cause) = report { list.append(RADIUSAttribute(.acctTerminateCause, number: cause.rawValue)) }
        return list
    }
}
