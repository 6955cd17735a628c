import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes

/// What both ends agreed on for one Child SA; nothing is installed by it.
struct ChildAgreement: Hashable {
    /// The template that it was made from.
    var template: ChildTemplate
    /// The algorithms, one of each type.
    var proposal: Proposal
    /// Our SPI.
    var inboundSPI: UInt32
    /// The peer's SPI.
    var outboundSPI: UInt32
    /// Whole packets in a tunnel, or payloads between the two hosts.
    var mode: ChildTemplate.Mode
    /// Packets on our side.
    var localSelectors: [TrafficSelector]
    /// Packets on the peer's side.
    var remoteSelectors: [TrafficSelector]
    /// Whether the peer cannot take packets that are padded to hide how long they are (RFC 7296 §1.3.1).
    var refusesPadding = false
    /// Whether both ends have said that fragments that do not show their ports may use it, whose selectors look at ports
    /// (RFC 7296 §1.3.1, RFC 4301 §7.3). It is not handed over: the data plane keeps what follows from it, and whatever
    /// replaces it is agreed on anew.
    var carriesLaterFragments = false
    /// Under which CPIs payloads are compressed; nil when they are not.
    var compression: CompressionIndices?
    /// Whether both ends have said that there may be more like it, one for each of their resources (RFC 9611 §4).
    var isGrouped = false
    /// Which of our resources it is for, counted from 1; nil for the first of a group, which serves all.
    var resource: Int?

    /// How its packets are fitted to the path.
    var tunnel: TunnelBehaviour {
        var tunnel = template.tunnel
        if refusesPadding { tunnel.padding = .none }
        if carriesLaterFragments { tunnel.laterFragments = .followFirst }
        return tunnel
    }
}

/// One Child SA of an IKE SA: both directions.
struct ChildSA: Hashable {
    /// Its number.
    let id: ChildSAID
    /// What was agreed, which is large and handed on often.
    let terms: Held<ChildAgreement>
    /// What was agreed.
    var agreement: ChildAgreement { terms.wrappedValue }
    /// How its packets travel.
    var encapsulation: SecurityAssociation.Encapsulation
    /// The state.
    var state: ChildSAState
    /// When it was installed.
    let installed: Instant
    /// When it is to be rekeyed; nil for never.
    let rekeyDue: Instant?
    /// When it is closed; nil for never.
    let expires: Instant?
    /// Whether packets were ever led to it.
    var isProtecting: Bool
    /// The Child SA in whose place the peer has made this one, while packets still go to that.
    var predecessor: ChildSAID?
    /// The number of what it protects, which a successor has as well.
    var protection: UInt32

    /// A copy for status.
    var summary: ChildSASummary {
        var summary = ChildSASummary(
            id: id, name: agreement.template.name, state: state, mode: agreement.mode, encapsulation: encapsulation,
            inboundSPI: agreement.inboundSPI, outboundSPI: agreement.outboundSPI, algorithms: agreement.proposal,
            localSelectors: agreement.localSelectors, remoteSelectors: agreement.remoteSelectors,
            installed: installed, rekeyDue: rekeyDue, expires: expires)
        summary.compression = agreement.compression
        summary.protection = protection
        return summary
    }
}

/// The Child SAs of one IKE SA, the oldest first.
struct ChildTable {
    /// The most Child SAs that one IKE SA may have: what a peer can make us keep.
    static let capacity = 256

    /// All of them.
    private(set) var all: [ChildSA] = []

    /// How many there are that are not on their way out.
    var liveCount: Int { all.count { $0.state == .installed || $0.state == .rekeying } }

    /// Whether there is room for one more.
    var hasRoom: Bool { all.count < Self.capacity }

    /// The one with this number.
    func child(_ id: ChildSAID) -> ChildSA? { all.first { $0.id == id } }

    /// The one whose packets to the peer carry this SPI, by this protocol: each has numbers of its own.
    func child(outboundSPI spi: UInt32, _ securityProtocol: SecurityProtocol = .esp) -> ChildSA? {
        all.first {
            $0.agreement.outboundSPI == spi && $0.agreement.proposal.securityProtocol == securityProtocol
        }
    }

    /// Whether one of this name is there and is not being closed.
    func hasLive(named name: String) -> Bool {
        all.contains { $0.agreement.template.name == name && ($0.state == .installed || $0.state == .rekeying) }
    }

    /// Adds one.
    mutating func add(_ child: ChildSA) { all.append(child) }

    /// Changes one.
    mutating func update(_ id: ChildSAID, _ change: (inout ChildSA) -> Void) {
        guard let index = all.firstIndex(where: { $0.id == id }) else { return }
        change(&all[index])
    }

    /// Takes one out.
    mutating func remove(_ id: ChildSAID) -> ChildSA? {
        guard let index = all.firstIndex(where: { $0.id == id }) else { return nil }
        return all.remove(at: index)
    }
}
