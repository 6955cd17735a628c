public import NetworkTypes
internal import WireFormat

/// A rule that says which packets look into which routing table.
public struct Rule: Hashable, Sendable, CustomStringConvertible {
    /// The family.
    public var family: IPAddress.Family
    /// The lower, the earlier.
    public var priority: UInt32
    /// The table.
    public var table: UInt32
    /// Only packets from here.
    public var from: IPPrefix?
    /// Only packets to here.
    public var to: IPPrefix?
    /// Only packets whose mark is `mark` in the bits of `markMask`.
    public var mark: UInt32?
    /// The bits of the mark that count.
    public var markMask: UInt32
    /// Only packets that came in by the link with this name; `lo` for those that start here.
    public var inputInterface: String?
    /// Only packets whose socket is bound to the link with this name.
    public var outputInterface: String?
    /// Take all packets but these.
    public var inverted: Bool
    /// Pass over routes of this prefix length or shorter.
    public var suppressPrefixLength: UInt32?
    /// Who made it (RTPROT_…).
    public var protocolNumber: UInt8

    /// A rule for all packets of `family`, until more is said.
    public init(
        _ family: IPAddress.Family, priority: UInt32, table: UInt32, from: IPPrefix? = nil, to: IPPrefix? = nil,
        mark: UInt32? = nil, markMask: UInt32 = .max, inputInterface: String? = nil, outputInterface: String? = nil,
        inverted: Bool = false, suppressPrefixLength: UInt32? = nil, protocolNumber: UInt8 = 4
    ) {
        self.family = family
        self.priority = priority
        self.table = table
        self.from = from
        self.to = to
        self.mark = mark
        self.markMask = markMask
        self.inputInterface = inputInterface
        self.outputInterface = outputInterface
        self.inverted = inverted
        self.suppressPrefixLength = suppressPrefixLength
        self.protocolNumber = protocolNumber
    }

    /// Nil for a family that is not IP, and for a rule that does not look into a table.
    init?(parsing message: NetlinkMessage) throws(WireError) {
        var reader = NetlinkReader(message.payload)
        let family = IPAddress.Family(kernelNumber: try reader.uint8("rule family"))
        let toLength = Int(try reader.uint8("rule destination length"))
        let fromLength = Int(try reader.uint8("rule source length"))
        try reader.skip(1, "rule TOS")
        let shortTable = UInt32(try reader.uint8("rule table"))
        try reader.skip(2, "rule reserved")
        let action = try reader.uint8("rule action")
        let flags = try reader.uint32("rule flags")
        let attributes = try reader.attributes()
        guard let family, action == 1 else { return nil }
        self.family = family
        priority = attributes.uint32(6) ?? 0
        table = attributes.uint32(15) ?? shortTable
        to = attributes.address(1).flatMap { IPPrefix($0, length: toLength) }
        from = attributes.address(2).flatMap { IPPrefix($0, length: fromLength) }
        mark = attributes.uint32(10)
        markMask = attributes.uint32(16) ?? .max
        // A mask without a mark looks for mark zero.
        if mark == nil, attributes.uint32(16) != nil { mark = 0 }
        inputInterface = attributes.text(3)
        outputInterface = attributes.text(17)
        inverted = flags & 0x2 != 0
        suppressPrefixLength = attributes.uint32(14).flatMap { $0 == .max ? nil : $0 }
        protocolNumber = attributes.uint8(21) ?? 0
    }

    /// struct fib_rule_hdr and what follows: RTM_NEWRULE (32) or RTM_DELRULE (33).
    func request(_ type: UInt16, _ flags: NetlinkFlags) -> NetlinkRequest {
        NetlinkRequest(type, flags) { body in
            body.uint8(family.kernelNumber)
            body.uint8(UInt8(to?.length ?? 0))
            body.uint8(UInt8(from?.length ?? 0))
            body.uint8(0)
            body.uint8(table < 256 ? UInt8(table) : 0)
            body.zeros(2)
            body.uint8(1)
            body.uint32(inverted ? 0x2 : 0)
            body.attribute(6, priority)
            body.attribute(15, table)
            body.attribute(21, protocolNumber)
            if let to { body.attribute(1, to.address) }
            if let from { body.attribute(2, from.address) }
            if let mark {
                body.attribute(10, mark)
                body.attribute(16, markMask)
            }
            if let inputInterface { body.attribute(3, text: inputInterface) }
            if let outputInterface { body.attribute(17, text: outputInterface) }
            if let suppressPrefixLength { body.attribute(14, suppressPrefixLength) }
        }
    }

    /// `100: from 10.0.0.0/8 mark 0x1/0xff table 220`
    public var description: String {
        var text = "\(priority):"
        if inverted { text += " not" }
        if let from { text += " from \(from)" }
        if let to { text += " to \(to)" }
        if let mark { text += " mark 0x\(String(mark, radix: 16))/0x\(String(markMask, radix: 16))" }
        if let inputInterface { text += " iif \(inputInterface)" }
        if let outputInterface { text += " oif \(outputInterface)" }
        return text + " table \(table)"
    }
}

extension RouteSocket {
    /// The rules of a family that look into a table, in their order.
    public func rules(_ family: IPAddress.Family) throws(SystemError) -> [Rule] {
        let request = NetlinkRequest(34) { body in
            body.uint8(family.kernelNumber)
            body.zeros(11)
        }
        return try parseAll(netlink.list(request, call: "RTM_GETRULE"), type: 32, Rule.init(parsing:)).compactMap { $0 }
    }

    /// Makes a rule. With `replace` it is no error that the same rule is there.
    public func add(_ rule: Rule, replace: Bool = false) throws(SystemError) {
        do {
            try netlink.perform(
                rule.request(32, [.create, .exclusive]), call: "RTM_NEWRULE", context: rule.description)
        } catch {
            guard replace, error.errno == .exists else { throw error }
        }
    }

    /// Removes the rule that agrees in all that `rule` names.
    @discardableResult
    public func delete(_ rule: Rule) throws(SystemError) -> Removal {
        try remove(
            rule.request(33, []), call: "RTM_DELRULE", context: rule.description, absent: [.noSuchEntry])
    }
}
