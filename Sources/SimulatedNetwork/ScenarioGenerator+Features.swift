import Clockwork
import GatewayModel
import IKECore
import NetworkTypes
import WireFormat

/// Connections with what only some of them have: virtual addresses, other ways to prove oneself, other gateways.
extension ScenarioGenerator {
    /// Draws features for both ends of a connection; they always suit each other.
    mutating func addFeatures(_ ours: inout Connection, _ theirs: inout Connection) {
        guard profile == .extended || profile == .handover && dice.chance(0.3) else { return }
        if dice.chance(0.4) { addRounds(&ours, &theirs) }
        if dice.chance(0.3) { addRounds(&theirs, &ours) }
        if dice.chance(0.4) {
            let isMissing = dice.chance(0.25)
            let identity = Identity.keyID(isMissing ? SharedKeyProvider.missingPPK : Array("shared".utf8))
            let isRequired = !isMissing && dice.chance(0.5)
            for index in [0, 1] {
                var end = index == 0 ? ours : theirs
                end.ppkIdentity = identity
                end.knowsPPKs = true
                end.ppkRequired = isRequired
                if index == 0 { ours = end } else { theirs = end }
            }
        }
        let childless: Connection.Childless = dice.pick(.allow, .prefer, .force)
        ours.childless = childless
        theirs.childless = childless
        if dice.chance(0.25) {
            for index in ours.children.indices { ours.children[index].usesPerResourceSAs = true }
            for index in theirs.children.indices { theirs.children[index].usesPerResourceSAs = dice.chance(0.8) }
        }
        if dice.chance(0.5) {
            ours.virtualAddresses = [.unspecified(.v4)]
            theirs.pools = ["simulated"]
        }
        if dice.chance(0.5) {
            let breaks = dice.chance(0.4)
            for index in [0, 1] {
                var end = index == 0 ? ours : theirs
                end.reauthTime = dice.chance(0.7) ? dice.interval(.seconds(25), .seconds(90)) : .zero
                end.overTime = .minutes(10)
                end.randTime = .seconds(5)
                end.makesBeforeBreaking = !breaks
                if index == 0 { ours = end } else { theirs = end }
            }
        }
    }

    /// Neither end minds from where the other comes; most speak MOBIKE.
    func letRoam(_ ours: inout Connection, _ theirs: inout Connection) {
        ours.localAddresses = []
        theirs.localAddresses = []
        theirs.remoteAddresses = []
        ours.mobike = seed % 8 != 3
        theirs.mobike = seed % 8 != 6
    }

    /// `prover` proves one or two identities more, and `other` demands them (RFC 4739).
    private mutating func addRounds(_ prover: inout Connection, _ other: inout Connection) {
        for number in 1...(1 + dice.below(2)) {
            let identity = Identity.fqdn("user\(number).martlet.test")
            prover.furtherLocal.append(Connection.Authentication(method: .sharedKey, identity: identity))
            other.furtherRemote.append(
                Connection.PeerAuthentication(method: .sharedKey, identity: .exactly(identity)))
        }
    }

    /// The middle gateway sends the first one's clients to the last (RFC 5685).
    mutating func addRedirection(
        _ gateways: inout [Scenario.Gateway], _ keys: inout [String: SecretBytes]
    ) -> Scenario.Pair {
        var pair = connect(0, 2, &gateways, &keys)
        pair.bothWays = false
        let name = pair.connection
        guard var served = gateways[2].configuration.connection(named: name) else { return pair }
        served.localAddresses = [.prefix(IPPrefix(host: gateways[1].address))]
        let moment: Redirection.Moment = dice.chance(0.5) ? .initiation : .authentication
        served.redirection = Redirection(to: .address(gateways[2].publicAddress), at: moment)
        gateways[1].configuration.connections.append(served)
        let first = gateways[1].publicAddress
        gateways[0].configuration.connections[0].remoteAddresses = [.prefix(IPPrefix(host: first))]
        keys[SharedKeyProvider.name(host: gateways[1].name, connection: name)] =
            keys[SharedKeyProvider.name(host: gateways[2].name, connection: name)]
        return pair
    }
}
