import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// When a Child SA may be in transport mode, and what a NAT on the way makes of its selectors (RFC 7296 §1.3.1, §2.23.1).
///
/// It owns the comparison of selectors with the two hosts' addresses. It never decides about the exchange.
enum TransportMode {
    /// Whether these selectors mean packets between the two ends of the path themselves, and no others.
    static func isHostToHost(local: [TrafficSelector], remote: [TrafficSelector], _ path: Path) -> Bool {
        !local.isEmpty && !remote.isEmpty
            && local.allSatisfy { $0.addresses == AddressRange(host: path.local.address) }
            && remote.allSatisfy { $0.addresses == AddressRange(host: path.remote.address) }
    }

    /// The addresses that the initiator named and those under which we know the same hosts.
    ///
    /// An initiator behind a NAT names its own address, which is not the one that we see; one that reaches us through a
    /// NAT names our NAT's address. Both are replaced for our own use and put back in the answer.
    struct Translation {
        private let initiator: (named: AddressRange, seen: AddressRange)?
        private let responder: (named: AddressRange, seen: AddressRange)?

        /// The translation of an offer; nil when there is nothing to be translated.
        init?(
            initiatorSelectors: [TrafficSelector], responderSelectors: [TrafficSelector], _ notifies: [NotifyPayload],
            _ context: SessionContext
        ) {
            guard notifies.contains(.useTransportMode), context.nat.isAny else { return nil }
            let path = context.path
            initiator =
                context.nat.isRemote ? Self.pair(initiatorSelectors, seen: path.remote.address) : nil
            responder =
                context.nat.isLocal ? Self.pair(responderSelectors, seen: path.local.address) : nil
            if initiator == nil, responder == nil { return nil }
        }

        /// The one host that all selectors name, with what we call it.
        private static func pair(
            _ selectors: [TrafficSelector], seen: IPAddress
        ) -> (named: AddressRange, seen: AddressRange)? {
            guard let named = selectors.first?.addresses, named.lower == named.upper, named.family == seen.family,
                selectors.allSatisfy({ $0.addresses == named })
            else { return nil }
            return (named, AddressRange(host: seen))
        }

        /// The initiator's selectors with the address that we see.
        func initiatorSeen(_ selectors: [TrafficSelector]) -> [TrafficSelector] {
            Self.exchange(selectors, initiator?.named, initiator?.seen)
        }

        /// Our own selectors with the address that we have.
        func responderSeen(_ selectors: [TrafficSelector]) -> [TrafficSelector] {
            Self.exchange(selectors, responder?.named, responder?.seen)
        }

        /// The initiator's selectors as it named them.
        func initiatorNamed(_ selectors: [TrafficSelector]) -> [TrafficSelector] {
            Self.exchange(selectors, initiator?.seen, initiator?.named)
        }

        /// Our own selectors as the initiator named them.
        func responderNamed(_ selectors: [TrafficSelector]) -> [TrafficSelector] {
            Self.exchange(selectors, responder?.seen, responder?.named)
        }

        private static func exchange(
            _ selectors: [TrafficSelector], _ from: AddressRange?, _ to: AddressRange?
        ) -> [TrafficSelector] {
            guard let from, let to else { return selectors }
            return selectors.map { selector in
                guard selector.addresses == from else { return selector }
                return TrafficSelector(to, ipProtocol: selector.ipProtocol, ports: selector.ports)
            }
        }
    }
}
