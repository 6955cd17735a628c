import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// What the configuration payload has brought to one IKE SA.
struct AddressAssignment {
    /// What the peer gave us.
    var settings: HostSettings?
    /// What we lent to the peer.
    var lease: Lease?
    /// Why we lent nothing.
    var failure: String?
}

/// The configuration payload (RFC 7296 §2.19, §3.15): virtual addresses and IPv6 prefixes (RFC 5739) asked for and lent,
/// and what follows from them.
///
/// It owns the meaning of the payload. Which address or prefix is lent is a question for somebody else.
extension SessionContext {
    // MARK: Which hosts stand for the ends

    /// The addresses that `dynamic` stands for on our side: our virtual ones, and those of the prefixes that were lent to
    /// us, where we have or ask for some.
    var localHosts: [AddressRange] {
        if let settings = assignment.settings, settings.hasPlace {
            return settings.addresses.map { AddressRange(host: $0) } + settings.prefixes.map(\.range)
        }
        guard isInitiator, connection.wantsPlace, established == nil else {
            return [AddressRange(host: path.local.address)]
        }
        var hosts: [AddressRange] = []
        for block in connection.wantedPlaces {
            let range = block.address.isUnspecified ? IPPrefix.everything(block.family).range : block.range
            if !hosts.contains(range) { hosts.append(range) }
        }
        return hosts
    }

    /// The addresses that `dynamic` stands for on the peer's side: those that we lent to it.
    var remoteHosts: [AddressRange] {
        let lent = assignment.lease.map { lease in
            lease.addresses.map { AddressRange(host: $0) } + lease.prefixes.map(\.range)
        }
        guard let lent, !lent.isEmpty else { return [AddressRange(host: path.remote.address)] }
        return lent
    }

    /// What the peer agreed to, no wider than our virtual addresses where the configuration says `dynamic`: a gateway
    /// may answer with all that we offered before we knew them.
    func narrowed(_ agreement: ChildAgreement) -> ChildAgreement {
        guard assignment.settings != nil, agreement.template.localSelectors.contains(where: { $0.addresses == nil })
        else { return agreement }
        let own = agreement.template.localSelectors.flatMap { $0.resolved(for: localHosts) }
        let both = SelectorNarrowing.intersection(configured: agreement.localSelectors, offered: own)
        var narrowed = agreement
        if !both.isEmpty { narrowed.localSelectors = both }
        return narrowed
    }

    // MARK: The client

    /// What we ask for in IKE_AUTH; nil when the connection wants no virtual address and no prefix.
    var configurationRequest: ConfigurationPayload? {
        guard connection.wantsPlace else { return nil }
        var wanted = connection.virtualAddresses
        // What we have had is what our packets come from.
        var former = reauthentication.addresses
        for index in wanted.indices where wanted[index].isUnspecified {
            guard let place = former.firstIndex(where: { $0.family == wanted[index].family }) else { continue }
            wanted[index] = former.remove(at: place)
        }
        var attributes = wanted.map { address in
            let type: ConfigurationAttributeType =
                address.family == .v4 ? .internalIP4Address : .internalIP6Address
            return address.isUnspecified ? ConfigurationAttribute(type) : ConfigurationAttribute(type, address)
        }
        var formerPrefixes = reauthentication.prefixes
        for prefix in connection.virtualPrefixes {
            let isAny = prefix.address.isUnspecified
            let known = isAny && !formerPrefixes.isEmpty ? formerPrefixes.removeFirst() : prefix
            attributes.append(ConfigurationAttribute(lending: known))
        }
        let families = connection.wantedPlaces.map(\.family)
        if families.contains(.v4) { attributes.append(ConfigurationAttribute(.internalIP4DNS)) }
        if families.contains(.v6) { attributes.append(ConfigurationAttribute(.internalIP6DNS)) }
        attributes.append(ConfigurationAttribute(.internalDNSDomain))
        return ConfigurationPayload(.request, attributes)
    }

    /// Takes the gateway's reply: our addresses are there from now on. Nothing that we did not ask for is taken.
    func takeConfiguration(_ reply: ConfigurationPayload?, _ turn: inout Turn) {
        guard let reply, reply.type == .reply, connection.wantsPlace else { return }
        let families = Set(connection.virtualAddresses.map(\.family))
        let shortest = connection.virtualPrefixes.map(\.length).min()
        var settings = HostSettings(reply, families: families, shortestPrefix: shortest)
        // With the address of either end of the way as ours, no packet would find that way any more.
        let ends = [path.remote.address, path.local.address]
        settings.addresses.removeAll { ends.contains($0) }
        settings.prefixes.removeAll { prefix in ends.contains { prefix.contains($0) } }
        guard settings != HostSettings() else { return }
        assignment.settings = settings
        for address in settings.addresses { turn.plane(.addAddress(address, for: id)) }
        publish(.hostConfigured(settings), &turn)
    }

    /// Why a Child SA makes no sense although the gateway agreed to it: nil when it has what it needs.
    var addressRefusal: Refusal? {
        guard connection.wantsPlace, assignment.settings?.hasPlace != true else { return nil }
        return .noVirtualAddress(wanted: connection.wantedPlaces)
    }

    // MARK: The gateway

    /// The question for addresses that a client's IKE_AUTH request gives rise to; nil when it gives rise to none.
    func leaseRequest(_ request: ConfigurationPayload?, _ identity: Identity, _ turn: borrowing Turn) -> LeaseRequest? {
        guard let request, request.type == .request else { return nil }
        let (wanted, prefixes) = (Self.wantedAddresses(request), Self.wantedPrefixes(request))
        guard !wanted.isEmpty || !prefixes.isEmpty else { return nil }
        guard !connection.pools.isEmpty else {
            assignment.failure = "the connection has no `pools`"
            return nil
        }
        var question = LeaseRequest(
            connection: connection.name, pools: connection.pools, identity: identity, wanted: wanted,
            replacesOlder: replacesOlder(of: identity, turn))
        question.wantedPrefixes = prefixes
        question.chosen = eap.addresses
        question.attributes = eap.attributes
        return question
    }

    /// Whether the client has an older IKE SA that ends when this one is up, as uniqueness demands.
    private func replacesOlder(of identity: Identity, _ turn: borrowing Turn) -> Bool {
        let policy = connection.uniqueness
        guard policy != .never, saidInitialContact || policy == .replace, let localIdentity else { return false }
        return turn.tables.established(local: localIdentity, remote: identity).contains { $0 != id }
    }

    /// One of each kind at most is asked for by honest clients; a few more do no harm.
    private static func wantedAddresses(_ request: ConfigurationPayload) -> [IPAddress] {
        var wanted: [IPAddress] = []
        for attribute in request.attributes {
            let family: IPAddress.Family
            switch attribute.type {
            case .internalIP4Address: family = .v4
            case .internalIP6Address: family = .v6
            default: continue
            }
            guard wanted.filter({ $0.family == family }).count < 4 else { continue }
            wanted.append(attribute.address ?? .unspecified(family))
        }
        return wanted
    }

    /// The prefixes that a client asks for: an empty value is as good as one of zeros (RFC 7296 §3.15.1).
    private static func wantedPrefixes(_ request: ConfigurationPayload) -> [IPPrefix] {
        request.all(.internalIP6Prefix).prefix(4).map { $0.prefix ?? .everything(.v6) }
    }

    /// The question was answered.
    func takeLease(_ answer: Answer, _ turn: inout Turn) {
        switch answer {
        case .leased(let lease):
            assignment.lease = lease
            publish(.leased(lease), &turn)
        case .noLease(let reason): assignment.failure = reason
        default: assignment.failure = "the answer is not a lease"
        }
    }

    /// The reply to the client; nil when it got nothing.
    var configurationReply: ConfigurationPayload? {
        guard let lease = assignment.lease else { return nil }
        let addresses = lease.addresses.map { address in
            ConfigurationAttribute(address.family == .v4 ? .internalIP4Address : .internalIP6Address, address)
        }
        let prefixes = lease.prefixes.map { ConfigurationAttribute(lending: $0) }
        let others = lease.attributes.map {
            ConfigurationAttribute(ConfigurationAttributeType(rawValue: $0.type), $0.value)
        }
        return ConfigurationPayload(.reply, addresses + prefixes + others)
    }

    /// Why the client gets no Child SA: it asked for an address and there is none, or it asked for none although it has
    /// to have one (RFC 7296 §3.15.4, §2.19).
    func addressRejection(_ request: ConfigurationPayload?, _ identity: Identity) -> ChildChoice.Rejection? {
        guard assignment.lease == nil else { return nil }
        let wanted =
            request.map { Self.wantedAddresses($0).map { IPPrefix(host: $0) } + Self.wantedPrefixes($0) } ?? []
        if !wanted.isEmpty {
            let reason = assignment.failure ?? "there is none"
            return ChildChoice.Rejection(
                notify: NotifyPayload(.internalAddressFailure),
                refusal: .noLease(identity: identity, wanted: wanted, reason: reason), child: nil)
        }
        guard !connection.pools.isEmpty else { return nil }
        return ChildChoice.Rejection(
            notify: NotifyPayload(.failedCPRequired),
            refusal: .noLease(identity: identity, wanted: [], reason: "the peer does not ask for one"), child: nil)
    }

    // MARK: The end

    /// Nobody uses the addresses any more.
    func giveUpAddresses(_ turn: inout Turn) {
        if let lease = assignment.lease { turn.effects.append(.release(lease)) }
        if let settings = assignment.settings {
            for address in settings.addresses { turn.plane(.removeAddress(address, for: id)) }
            publish(.hostUnconfigured(settings), &turn)
        }
        assignment = AddressAssignment()
    }

    /// Another IKE SA takes the place of this one, and its addresses.
    func handAddresses(to next: SessionContext) {
        next.assignment = assignment
        assignment = AddressAssignment()
    }
}

extension SelectorTemplate {
    /// The selectors, with each of `hosts` in place of a dynamic address.
    func resolved(for hosts: [AddressRange]) -> [TrafficSelector] {
        (addresses.map { [$0] } ?? hosts).map { TrafficSelector($0, ipProtocol: ipProtocol, ports: ports) }
    }
}

extension Connection {
    /// Whether we ask for virtual addresses, or for prefixes.
    fileprivate var wantsPlace: Bool { !virtualAddresses.isEmpty || !virtualPrefixes.isEmpty }

    /// What we ask for, addresses as hosts; unspecified for any.
    fileprivate var wantedPlaces: [IPPrefix] { virtualAddresses.map { IPPrefix(host: $0) } + virtualPrefixes }
}

extension HostSettings {
    /// Whether there is an address or a prefix to send from.
    fileprivate var hasPlace: Bool { !addresses.isEmpty || !prefixes.isEmpty }

    /// The most servers, networks and domains of a kind that are taken.
    private static let limit = 32

    /// What a reply gives; addresses of families that were not asked for, or that no host can have, are passed over, and
    /// so are prefixes shorter than `shortestPrefix`, all of them when it is nil.
    init(_ reply: ConfigurationPayload, families: Set<IPAddress.Family>, shortestPrefix: Int? = nil) {
        self.init()
        for attribute in reply.attributes {
            switch attribute.type {
            case .internalIP4Address, .internalIP6Address:
                guard let address = attribute.address, families.contains(address.family), address.isUsable else {
                    continue
                }
                Self.add(address, to: &addresses, limit: 4)
            case .internalIP4Netmask: netmask = netmask ?? attribute.address
            case .internalIP4DNS, .internalIP6DNS: Self.add(attribute.address, to: &nameServers)
            case .internalIP4NBNS: Self.add(attribute.address, to: &netBIOSServers)
            case .internalIP4DHCP, .internalIP6DHCP: Self.add(attribute.address, to: &dhcpServers)
            case .internalIP4Subnet, .internalIP6Subnet: Self.add(attribute.prefix, to: &subnets, limit: 256)
            case .internalIP6Prefix:
                guard let prefix = attribute.prefix, let shortestPrefix, prefix.length >= shortestPrefix,
                    prefix.address.isUsable
                else { continue }
                Self.add(prefix, to: &prefixes, limit: 4)
            case .internalDNSDomain:
                guard domains.count < Self.limit, let name = Self.domain(attribute.value) else { continue }
                domains.append(Domain(name: name))
            case .internalDNSSECTrustAnchor:
                // It belongs to the domain before it (RFC 8598 §4.2).
                guard let last = domains.indices.last, attribute.value.count > 4,
                    domains[last].trustAnchors.count < Self.limit
                else { continue }
                domains[last].trustAnchors.append(attribute.value)
            default: continue
            }
        }
        // Split DNS without a server for it makes no sense (RFC 8598 §3.2).
        if nameServers.isEmpty { domains = [] }
    }

    private static func add<Value: Equatable>(_ value: Value?, to list: inout [Value], limit: Int = Self.limit) {
        guard let value, list.count < limit, !list.contains(value) else { return }
        if let address = value as? IPAddress, !address.isUsable { return }
        list.append(value)
    }

    /// A name of letters, digits, hyphens and underscores between dots; nil for anything else, which could end up in a
    /// file.
    private static func domain(_ octets: [UInt8]) -> String? {
        guard octets.count <= 253 else { return nil }
        let text = octets.last == UInt8(ascii: ".") ? octets.dropLast() : octets[...]
        if text.isEmpty { return "" }
        for label in text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            let isLabel = label.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
            guard isLabel, (1...63).contains(label.count), label.first != UInt8(ascii: "-") else { return nil }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension IPAddress {
    /// Whether a host can have it, or a server be reached by it.
    fileprivate var isUsable: Bool {
        let isBroadcast = family == .v4 && bits == 0xffff_ffff
        let isLoopback = family == .v4 ? bits >> 24 == 127 : bits == 1
        return !isUnspecified && !isMulticast && !isBroadcast && !isLoopback
    }
}
