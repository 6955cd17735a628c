public import Clockwork
public import GatewayModel
public import NetworkTypes
public import WireFormat

/// What an Access-Accept allows somebody, and how a session with it is to be accounted.
///
/// It owns the meaning of the attributes. It never decides who gets in: that is the code of the packet.
public struct Authorization: Sendable {
    /// The Class attributes as they came; a server wants them back as they are (RFC 2865 §5.25).
    public var classes: [[UInt8]] = []
    /// The groups that the user is in.
    public var groups: [String] = []
    /// The user's addresses, one of each family at most.
    public var addresses: [IPAddress] = []
    /// What the user's host is told besides.
    public var attributes: [HostAttribute] = []
    /// How long the session may last; nil for no limit.
    public var sessionTimeout: Interval?
    /// How often the server wants to hear of it; nil where it does not say.
    public var interimInterval: Interval?
    /// What the server calls the user, where it says.
    public var userName: [UInt8]?
    /// The MSK, 64 octets; nil where the server sent none.
    public var key: SecretBytes?

    /// Nothing is allowed, and nothing forbidden.
    public init() {}

    /// The most groups, Class attributes and name servers that are taken.
    static let mostEach = 32
    /// The shortest time between two reports (RFC 2869 §5.16 forbids less).
    static let shortestInterim = Interval.seconds(60)

    /// What `accept` says.
    init(_ accept: RADIUSPacket, _ settings: RADIUSSettings, _ proof: PacketProof, requestAuthenticator: [UInt8]) {
        classes = accept.all(.classAttribute).prefix(Self.mostEach).map(\.value)
        if settings.classNamesGroups { groups += classes.compactMap(Self.group) }
        // Tunnel-Type is a tag and three octets; 9 is ESP (RFC 2868 §3.1).
        let isESP = accept.all(.tunnelType).contains { $0.value.count == 4 && $0.value[1...] == [0, 0, 9] }
        if settings.filterNamesGroups, isESP {
            groups += accept.all(.filterID).prefix(Self.mostEach).compactMap { Self.group($0.value) }
        }
        addresses = Self.addresses(accept)
        attributes = Self.hostAttributes(accept)
        let seconds = accept.first(.sessionTimeout)?.number ?? 0
        sessionTimeout = seconds > 0 ? .seconds(Int64(seconds)) : nil
        interimInterval = accept.first(.acctInterimInterval)?.number.map {
            max(.seconds(Int64($0)), Self.shortestInterim)
        }
        userName = accept.first(.userName)?.value
        key = Self.masterKey(accept, proof, requestAuthenticator)
    }

    /// A group's name: text in one piece; nil for octets that are meant for the server alone.
    private static func group(_ value: [UInt8]) -> String? {
        let isText = !value.isEmpty && value.allSatisfy { (0x20...0x7e).contains($0) }
        return isText ? String(decoding: value, as: UTF8.self) : nil
    }

    /// Framed-IP-Address, unless it says that somebody else is to choose (RFC 2865 §5.8); Framed-IPv6-Address (RFC 6911
    /// §3.1), or what a prefix leads to.
    private static func addresses(_ accept: RADIUSPacket) -> [IPAddress] {
        var found: [IPAddress] = []
        if let address = accept.first(.framedIPAddress)?.address(.v4), address.bits < 0xffff_fffe, isHost(address) {
            found.append(address)
        }
        let sixth = accept.first(.framedIPv6Address)?.address(.v6) ?? addressOfPrefix(accept)
        if let sixth, isHost(sixth) { found.append(sixth) }
        return found
    }

    /// The address of a Framed-IPv6-Prefix (RFC 3162 §2.3): the one that it is when it is of one address, else the one
    /// whose other half is Framed-Interface-Id (§2.2). A prefix alone is for hosts that choose for themselves, as nobody
    /// does in IKEv2.
    private static func addressOfPrefix(_ accept: RADIUSPacket) -> IPAddress? {
        guard let value = accept.first(.framedIPv6Prefix)?.value, (2...18).contains(value.count) else { return nil }
        // Octets at the end that are zero may be left out.
        let prefix = value.dropFirst(2) + [UInt8](repeating: 0, count: 18 - value.count)
        if value[1] == 128 { return IPAddress(bytes: prefix) }
        guard value[1] <= 64, let interface = accept.first(.framedInterfaceID)?.value, interface.count == 8 else {
            return nil
        }
        return IPAddress(bytes: Array(prefix.prefix(8)) + interface)
    }

    private static func isHost(_ address: IPAddress) -> Bool {
        !address.isUnspecified && !address.isMulticast && !address.isLoopback
    }

    /// Name servers, as configuration attributes of IKEv2 (RFC 7296 §3.15.1).
    private static func hostAttributes(_ accept: RADIUSPacket) -> [HostAttribute] {
        var found: [HostAttribute] = []
        for attribute in accept.attributes {
            switch attribute.kind {
            case .dnsServerIPv6Address:
                if attribute.value.count == 16 { found.append(HostAttribute(type: 10, value: attribute.value)) }
            case .vendorSpecific:
                for (kind, value) in attribute.vendorValues(of: MicrosoftAttribute.vendor) where value.count == 4 {
                    if MicrosoftAttribute.nameServers.contains(kind) {
                        found.append(HostAttribute(type: 3, value: value))
                    } else if MicrosoftAttribute.netBIOSServers.contains(kind) {
                        found.append(HostAttribute(type: 4, value: value))
                    }
                }
            default: continue
            }
        }
        return Array(found.prefix(Self.mostEach))
    }

    /// The MSK: the key that the authenticator receives with, then the one that it sends with (RFC 2548 §2.4, RFC 5216
    /// §2.3).
    private static func masterKey(
        _ accept: RADIUSPacket, _ proof: PacketProof, _ requestAuthenticator: [UInt8]
    ) -> SecretBytes? {
        var halves: [UInt8: SecretBytes] = [:]
        for attribute in accept.all(.vendorSpecific) {
            for (kind, value) in attribute.vendorValues(of: MicrosoftAttribute.vendor) {
                guard kind == MicrosoftAttribute.sendKey || kind == MicrosoftAttribute.receiveKey else { continue }
                halves[kind] = proof.key(in: value, requestAuthenticator: requestAuthenticator)
            }
        }
        guard let receive = halves[MicrosoftAttribute.receiveKey], let send = halves[MicrosoftAttribute.sendKey] else {
            return nil
        }
        // MSCHAPv2 makes 16 octets of each, and calls 32 zeros behind both a part of its MSK.
        let joined = receive.followed(by: send)
        return joined.followed(by: [UInt8](repeating: 0, count: max(0, 64 - joined.count)))
    }
}
