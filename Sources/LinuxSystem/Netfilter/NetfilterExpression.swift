/// One step of a rule: it loads something into a register, compares it, or decides.
public enum NetfilterExpression: Hashable, Sendable {
    /// What a step may load that is not in the packet's headers.
    public enum Meta: UInt32, Sendable {
        /// The packet's mark, host order.
        case mark = 3
        /// The name of the link that it came by, 16 octets.
        case inputName = 6
        /// The name of the link that it leaves by, 16 octets.
        case outputName = 7
        /// The family: 2 or 10.
        case family = 15
        /// The upper protocol.
        case upperProtocol = 16
    }

    /// Where a header starts.
    public enum Base: UInt32, Sendable {
        /// IPv4 or IPv6.
        case network = 1
        /// What it carries; a step that loads from it ends the rule where a fragment has none.
        case transport = 2
    }

    /// What becomes of the packet.
    public enum Verdict: Hashable, Sendable {
        /// It goes on, past all other rules of this chain's caller.
        case accept
        /// It goes nowhere.
        case drop
        /// Another chain is asked, then the next rule.
        case jump(String)
    }

    /// Loads from outside the headers into the 32-bit register of this number (0 to 15).
    case meta(Meta, register: Int)
    /// Loads octets of a header.
    case payload(Base, offset: Int, length: Int, register: Int)
    /// Loads octets of IPv6's fragment header; ends the rule where the packet has none.
    case fragmentHeader(offset: Int, length: Int, register: Int)
    /// Keeps of the registers from this one on the bits that are set here.
    case mask([UInt8], register: Int)
    /// Ends the rule unless the register starts with these octets.
    case equals([UInt8], register: Int)
    /// Ends the rule unless the register's value is from one to another, network order.
    case within([UInt8], [UInt8], register: Int)
    /// Ends the rule unless the registers from this one on hold an element of a set.
    case isIn(String, register: Int)
    /// Counts the packets that come so far.
    case counter
    /// Decides.
    case verdict(Verdict)

    /// NFTA_EXPR_NAME and NFTA_EXPR_DATA.
    func write(into body: inout NetlinkBody) {
        body.attribute(1, text: name)
        body.nested(2) { data in
            switch self {
            case .meta(let key, let register):
                data.netfilterNumber(1, Self.number(register))
                data.netfilterNumber(2, key.rawValue)
            case .payload(let base, let offset, let length, let register):
                data.netfilterNumber(1, Self.number(register))
                data.netfilterNumber(2, base.rawValue)
                data.netfilterNumber(3, UInt32(clamping: offset))
                data.netfilterNumber(4, UInt32(clamping: length))
            case .fragmentHeader(let offset, let length, let register):
                data.netfilterNumber(1, Self.number(register))
                data.attribute(2, [44])
                data.netfilterNumber(3, UInt32(clamping: offset))
                data.netfilterNumber(4, UInt32(clamping: length))
            case .mask(let bits, let register):
                data.netfilterNumber(1, Self.number(register))
                data.netfilterNumber(2, Self.number(register))
                data.netfilterNumber(3, UInt32(clamping: bits.count))
                data.nested(4) { $0.attribute(1, bits) }
                data.nested(5) { $0.attribute(1, [UInt8](repeating: 0, count: bits.count)) }
            case .equals(let value, let register):
                data.netfilterNumber(1, Self.number(register))
                data.netfilterNumber(2, 0)
                data.nested(3) { $0.attribute(1, value) }
            case .within(let lower, let upper, let register):
                data.netfilterNumber(1, Self.number(register))
                data.netfilterNumber(2, 0)
                data.nested(3) { $0.attribute(1, lower) }
                data.nested(4) { $0.attribute(1, upper) }
            case .isIn(let set, let register):
                data.attribute(1, text: set)
                data.netfilterNumber(2, Self.number(register))
            case .counter: break
            case .verdict(let verdict):
                data.netfilterNumber(1, 0)
                data.nested(2) { $0.nested(2) { verdict.write(into: &$0) } }
            }
        }
    }

    private var name: String {
        switch self {
        case .meta: "meta"
        case .payload: "payload"
        case .fragmentHeader: "exthdr"
        case .mask: "bitwise"
        case .equals: "cmp"
        case .within: "range"
        case .isIn: "lookup"
        case .counter: "counter"
        case .verdict: "immediate"
        }
    }

    /// NFT_REG32_00 and on.
    private static func number(_ register: Int) -> UInt32 { 8 + UInt32(clamping: register) }
}

extension NetfilterExpression.Verdict {
    fileprivate func write(into body: inout NetlinkBody) {
        switch self {
        case .drop: body.netfilterNumber(1, 0)
        case .accept: body.netfilterNumber(1, 1)
        case .jump(let chain):
            body.netfilterNumber(1, UInt32(bitPattern: -3))
            body.attribute(2, text: chain)
        }
    }
}
