import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import WireFormat

/// Draws scenarios.
struct ScenarioGenerator {
    let seed: UInt64
    let profile: Scenario.Profile
    let loss: Double
    var dice: Dice

    /// `profile` may be ``Scenario/Profile/mixed``; `loss` is the part that links lose in a storm.
    init(seed: UInt64, profile: Scenario.Profile, loss: Double) {
        self.seed = seed
        self.loss = loss
        dice = Dice(seed: seed &* 0x9e37_79b9_7f4a_7c15 ^ 0x6d61_7274_6c65_7421)
        let drawn: Scenario.Profile = dice.pick(
            .storm, .storm, .storm, .nat, .nat, .restart, .refusal, .collision, .collision, .triangle, .calm, .echo)
        self.profile = profile == .mixed ? drawn : profile
    }

    mutating func scenario() -> Scenario {
        let count = profile == .triangle || profile == .redirect ? 3 : 2
        var gateways = (0..<count).map { gateway($0) }
        var pairs: [Scenario.Pair] = []
        var keys: [String: SecretBytes] = [:]
        var limits = limits()
        if profile == .calm { limits.answerTimeout = .seconds(30) }
        for index in gateways.indices {
            gateways[index].configuration.limits = limits
            if profile == .extended { gateways[index].configuration.resources = 1 + dice.below(4) }
        }
        if profile == .redirect { pairs.append(addRedirection(&gateways, &keys)) }
        for left in 0..<(profile == .redirect ? 0 : count) {
            for right in (left + 1)..<count {
                pairs.append(connect(left, right, &gateways, &keys))
            }
        }
        let calm = profile == .calm
        var scenario = Scenario(
            seed: seed, profile: profile, gateways: gateways, pairs: pairs, keys: keys,
            weather: calm ? LinkBehaviour(delay: dice.interval(.milliseconds(1), .milliseconds(400))) : storm(),
            timing: timing(), faultsEnd: .zero + (calm ? .seconds(20) : dice.interval(.seconds(30), .seconds(300))),
            steps: [], dice: dice.split())
        scenario.steps = steps(scenario)
        return scenario
    }

    // MARK: Hosts

    private mutating func gateway(_ index: Int) -> Scenario.Gateway {
        let usesV6 = seed % 8 == 5
        let address =
            usesV6
            ? IPAddress(.v6, bits: 0x2001_0db8 << 96 | UInt128(index + 1))
            : IPAddress(v4: 0xc000_0201 + UInt32(index))
        let name = ["a", "b", "c"][index]
        if profile == .roaming, index == 0, !usesV6 {
            // There is a box at one of the places where it will be.
            let box = NATBox(
                outside: IPAddress(v4: 0xcb00_7107), inside: IPAddress(v4: 0x0a64_0009), forwards: false,
                timeout: dice.interval(.seconds(40), .seconds(200)))
            return Scenario.Gateway(name: name, address: address, publicAddress: address, box: box)
        }
        let hides: Bool
        switch profile {
        case .nat: hides = index == 0 ? dice.chance(0.8) : dice.chance(0.5)
        case .calm, .storm, .collision, .restart, .echo, .handover: hides = dice.chance(0.15)
        default: hides = false
        }
        guard hides, !usesV6 else { return Scenario.Gateway(name: name, address: address, publicAddress: address) }
        let inside = IPAddress(v4: 0x0a64_0002 + UInt32(index) << 8)
        // Only the first gateway may be unreachable from outside: somebody must be able to start.
        let forwards = index > 0 || dice.chance(0.3)
        let timeout: Interval =
            profile == .nat ? dice.interval(.seconds(25), .seconds(200)) : .seconds(600)
        return Scenario.Gateway(
            name: name, address: inside, publicAddress: address,
            box: NATBox(outside: address, inside: inside, forwards: forwards, timeout: timeout))
    }

    private mutating func limits() -> Limits {
        var limits = Limits()
        limits.cookieThreshold = dice.chance(0.25) ? 0 : 30
        limits.answerTimeout = dice.interval(.seconds(5), .seconds(30))
        limits.halfOpenTimeout = dice.interval(.seconds(10), .seconds(40))
        return limits
    }

    // MARK: Connections

    mutating func connect(
        _ left: Int, _ right: Int, _ gateways: inout [Scenario.Gateway], _ keys: inout [String: SecretBytes]
    ) -> Scenario.Pair {
        let name = "\(gateways[left].name)-\(gateways[right].name)"
        var ours = connection(name, gateways[left], gateways[right])
        var theirs = connection(name, gateways[right], gateways[left])
        let suites = proposals()
        ours.proposals = suites.left
        theirs.proposals = suites.right
        let startsHigh = dice.chance(0.2)
        var schedule = RetransmissionSchedule(
            tries: 3 + dice.below(3), timeout: dice.interval(.seconds(1), .seconds(4)), base: 1.8,
            limit: dice.chance(0.2) ? .seconds(8) : .zero, jitter: dice.chance(0.3) ? 0.25 : 0)
        if profile == .calm {
            // Longer than the slowest way there and back, with two answers on it.
            schedule.timeout = max(schedule.timeout, .milliseconds(1500))
        }
        let dpd: Interval = profile == .calm ? .zero : dice.interval(.seconds(10), .seconds(40))
        for index in [0, 1] {
            var end = index == 0 ? ours : theirs
            if startsHigh {
                end.localPort = 4500
                end.remotePort = 4500
            }
            end.retransmission = schedule
            end.dpdDelay = dpd
            if profile == .hybrid {
                end.fragmentation = dice.chance(0.85) ? .yes : .no
                end.fragmentSize = 200 + dice.below(1080)
            }
            end.rekeyTime = profile.rekeys ? dice.interval(.seconds(20), .seconds(60)) : .zero
            if index == 0 { ours = end } else { theirs = end }
        }
        addChildren(&ours, &theirs, left, right)
        addFeatures(&ours, &theirs)
        if profile == .roaming { letRoam(&ours, &theirs) }
        var pair = Scenario.Pair(
            connection: name, left: left, right: right,
            bothWays: gateways[left].isReachable && gateways[right].isReachable && profile != .roaming, outcome: .works,
            defect: "none")
        let secret = SecretBytes((0..<32).map { _ in UInt8(dice.below(256)) })
        var theirSecret = secret
        if profile == .refusal { spoil(&pair, &ours, &theirs, &theirSecret) }
        keys[SharedKeyProvider.name(host: gateways[left].name, connection: name)] = secret
        keys[SharedKeyProvider.name(host: gateways[right].name, connection: name)] = theirSecret
        gateways[left].configuration.connections.append(ours)
        gateways[right].configuration.connections.append(theirs)
        return pair
    }

    private func connection(_ name: String, _ own: Scenario.Gateway, _ peer: Scenario.Gateway) -> Connection {
        var connection = Connection(name: name)
        connection.localAddresses = [.prefix(IPPrefix(host: own.address))]
        connection.remoteAddresses = [.prefix(IPPrefix(host: peer.publicAddress))]
        connection.local.identity = .fqdn("\(own.name).martlet.test")
        connection.remote.identity = .exactly(.fqdn("\(peer.name).martlet.test"))
        return connection
    }

    /// The two ends' proposals: they always suit each other, though not always at the first try.
    private mutating func proposals() -> (left: [Proposal], right: [Proposal]) {
        let gcm = [Transform.aes128gcm16, .prfsha256]
        let cbc = [Transform.aes256, .sha256, .prfsha256]
        let chacha = [Transform.chacha20poly1305, .prfsha512]
        let suite = dice.pick(gcm, gcm, cbc, chacha)
        func ike(_ transforms: [Transform]) -> Proposal { Proposal(.ike, transforms) }
        if profile == .hybrid {
            let (left, right) = additional()
            return ([ike(suite + [.x25519] + left)], [ike(suite + [.x25519] + right)])
        }
        switch dice.below(8) {
        case 0:  // The initiator's first group is not the responder's: one detour.
            return ([ike(suite + [.ecp256, .x25519])], [ike(suite + [.x25519])])
        case 1: return ([ike(suite + [.x25519, .ecp256])], [ike(suite + [.ecp256])])
        case 2: return ([ike(chacha + [.x25519]), ike(cbc + [.x25519])], [ike(cbc + [.x25519])])
        case 3: return ([ike(suite + [.ecp256])], [ike(suite + [.ecp256, .x25519])])
        default: return ([ike(suite + [.x25519])], [ike(suite + [.x25519])])
        }
    }

    /// Additional key exchanges of two ends that suit each other. Most are groups, whose octets a seed repeats.
    private mutating func additional() -> (left: [Transform], right: [Transform]) {
        func method(_ number: UInt8, _ id: UInt16) -> Transform { Transform(TransformType(rawValue: number + 5), id) }
        let (p256, x448, kem) = (Transform.ecp256.id, UInt16(32), UInt16(36))
        switch dice.below(6) {
        case 0: return ([method(1, kem)], [method(1, kem)])
        case 1: return ([method(1, p256), method(1, 0)], [])
        case 2: return ([method(1, p256), method(2, x448)], [method(1, x448), method(1, p256), method(2, x448)])
        case 3: return ([method(1, kem), method(3, p256)], [method(1, kem), method(3, p256)])
        default: return ([method(1, p256)], [method(1, p256)])
        }
    }

    private mutating func addChildren(_ ours: inout Connection, _ theirs: inout Connection, _ left: Int, _ right: Int) {
        var esp = dice.pick(
            [Transform.aes128gcm16, .noesn], [Transform.aes256gcm16, .esn, .noesn],
            [Transform.aes128, .sha256, .noesn], [Transform.chacha20poly1305, .noesn])
        if profile == .hybrid, dice.chance(0.7) {
            esp += [.x25519, Transform(TransformType(rawValue: 6), dice.pick(Transform.ecp256.id, 32, 36))]
        }
        for index in 0..<(dice.chance(0.3) ? 2 : 1) {
            var template = ChildTemplate(name: index == 0 ? "net" : "web")
            template.proposals = [Proposal(.esp, esp)]
            template.rekeyTime = profile.rekeys ? dice.interval(.seconds(10), .seconds(40)) : .zero
            template.lifeTime = .zero
            if profile == .rekey, dice.chance(0.6) {
                template.volume.packets.rekey = UInt64(1 + dice.below(4))
                // Sometimes so near that losses make an end of it.
                template.volume.packets.life = dice.chance(0.3) ? template.volume.packets.rekey + 3 : 0
            }
            let near = SelectorTemplate(Self.network(left).range, ipProtocol: index == 0 ? .any : .tcp)
            let far = SelectorTemplate(Self.network(right).range, ipProtocol: index == 0 ? .any : .tcp)
            template.localSelectors = [near]
            template.remoteSelectors = [far]
            ours.children.append(template)
            template.localSelectors = [far]
            template.remoteSelectors = [near]
            // The responder may want less: the initiator's selectors are narrowed.
            if dice.chance(0.2) { template.localSelectors = [SelectorTemplate(Self.network(right, length: 20))] }
            theirs.children.append(template)
        }
    }

    static func network(_ index: Int, length: Int = 16) -> IPPrefix {
        IPPrefix(IPAddress(v4: 0x0a0a_0000 + UInt32(index) << 16), length: length) ?? .everything(.v4)
    }

    private mutating func spoil(
        _ pair: inout Scenario.Pair, _ ours: inout Connection, _ theirs: inout Connection, _ secret: inout SecretBytes
    ) {
        pair.outcome = .neverEstablished
        switch dice.below(6) {
        case 0, 1:
            pair.defect = "other secret"
            secret = SecretBytes((0..<32).map { _ in UInt8(dice.below(256)) })
        case 2:
            pair.defect = "no common IKE proposal"
            theirs.proposals = [Proposal(.ike, [.aes128, .sha512, .prfsha384, .x25519])]
        case 3:
            pair.defect = "other identity"
            theirs.remote.identity = .exactly(.fqdn("somebody.else.test"))
            ours.remote.identity = .exactly(.fqdn("nobody.else.test"))
        case 4:
            pair.defect = "no common ESP proposal"
            pair.outcome = .neverAChild
            for index in theirs.children.indices {
                theirs.children[index].proposals = [Proposal(.esp, [.aes256, .sha512, .noesn])]
            }
        default:
            pair.defect = "disjoint selectors"
            pair.outcome = .neverAChild
            for index in theirs.children.indices {
                theirs.children[index].localSelectors = [SelectorTemplate(Self.network(77))]
            }
        }
    }
}
