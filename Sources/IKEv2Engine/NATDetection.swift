import Clockwork
import IKEMessages
import IPsecCrypto
import NetworkTypes
import WireFormat

/// Whether a NAT stands between the ends (RFC 7296 §2.23): hashes of addresses and ports, made and compared.
///
/// It owns what was found. What follows from it (ports, encapsulation) is the session's business.
struct NATDetection: Hashable {
    /// Whether a NAT hides us.
    var isLocal = false
    /// Whether a NAT hides the peer, or the peer pretends so.
    var isRemote = false
    /// Whether the peer takes part in it at all.
    var isSupported = false

    /// Whether there is any NAT.
    var isAny: Bool { isLocal || isRemote }

    /// The two notifications for a message that we send. With `pretending`, the hash of our own end is one that can't
    /// match, so that the peer sees a NAT.
    static func offer(
        initiatorSPI: UInt64, responderSPI: UInt64, path: Path, pretending: Bool, _ entropy: inout some Entropy
    ) -> [NotifyPayload] {
        let source =
            pretending ? entropy.bytes(20) : hash(initiatorSPI: initiatorSPI, responderSPI: responderSPI, path.local)
        let destination = hash(initiatorSPI: initiatorSPI, responderSPI: responderSPI, path.remote)
        return [
            NotifyPayload(.natDetectionSourceIP, source),
            NotifyPayload(.natDetectionDestinationIP, destination),
        ]
    }

    /// What the peer's notifications in a message that came on `path` say. Several source hashes stand for several
    /// addresses that the peer may have sent from.
    static func found(
        in notifies: [NotifyPayload], initiatorSPI: UInt64, responderSPI: UInt64, path: Path
    ) -> NATDetection {
        guard notifies.contains(.natDetectionSourceIP), notifies.contains(.natDetectionDestinationIP) else {
            return NATDetection()
        }
        let remote = hash(initiatorSPI: initiatorSPI, responderSPI: responderSPI, path.remote)
        let local = hash(initiatorSPI: initiatorSPI, responderSPI: responderSPI, path.local)
        return NATDetection(
            isLocal: !notifies.contains { $0.type == .natDetectionDestinationIP && $0.data == local },
            isRemote: !notifies.contains { $0.type == .natDetectionSourceIP && $0.data == remote },
            isSupported: true)
    }

    private static func hash(initiatorSPI: UInt64, responderSPI: UInt64, _ end: Endpoint) -> [UInt8] {
        var writer = WireWriter(capacity: 34)
        writer.uint64(initiatorSPI)
        writer.uint64(responderSPI)
        writer.address(end.address)
        writer.uint16(end.port)
        return Digest.sha1(writer.bytes.span)
    }
}
