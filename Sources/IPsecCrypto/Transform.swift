/// What a transform does in a proposal (RFC 7296 §3.3.2; IANA's registry, open-ended).
public struct TransformType: RawRepresentable, Hashable, Comparable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt8
    /// The type with this number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Encryption, with or without its own integrity.
    public static let encryption = Self(rawValue: 1)
    /// Pseudorandom function.
    public static let prf = Self(rawValue: 2)
    /// Integrity.
    public static let integrity = Self(rawValue: 3)
    /// Key exchange method (once called Diffie-Hellman group).
    public static let keyExchange = Self(rawValue: 4)
    /// Extended sequence numbers.
    public static let sequenceNumbers = Self(rawValue: 5)

    /// The additional key exchanges, 1 to 7 (RFC 9370 §2.2.1).
    public static let additionalKeyExchanges: [Self] = (6...12).map { Self(rawValue: $0) }
    /// Which additional key exchange it is, from 1 to 7; nil when it is something else.
    public var additionalKeyExchange: Int? { (6...12).contains(rawValue) ? Int(rawValue) - 5 : nil }

    /// By number.
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// One algorithm as a proposal names it: a type, a number of that type's registry, a key length where it has several.
public struct Transform: Hashable, Sendable {
    /// What it does.
    public let type: TransformType
    /// Its number among the transforms of its type.
    public let id: UInt16
    /// The Key Length attribute in bits; nil where the algorithm has one length only.
    public let keyBits: UInt16?

    /// A transform by its numbers.
    public init(_ type: TransformType, _ id: UInt16, keyBits: UInt16? = nil) {
        self.type = type
        self.id = id
        self.keyBits = keyBits
    }

    /// The same method where an additional key exchange names one; else itself.
    public var keyExchangeMethod: Transform {
        type.additionalKeyExchange == nil ? self : Transform(.keyExchange, id)
    }
}

/// Which protocol a proposal or an SPI is for (RFC 7296 §3.3.1).
public struct SecurityProtocol: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number on the wire.
    public let rawValue: UInt8
    /// The protocol with this number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// IKE itself; its SPIs have 8 octets.
    public static let ike = Self(rawValue: 1)
    /// Authentication Header; its SPIs have 4 octets.
    public static let ah = Self(rawValue: 2)
    /// Encapsulating Security Payload; its SPIs have 4 octets.
    public static let esp = Self(rawValue: 3)

    /// `IKE`, `AH`, `ESP`, else the number.
    public var description: String {
        switch self {
        case .ike: "IKE"
        case .ah: "AH"
        case .esp: "ESP"
        default: "protocol \(rawValue)"
        }
    }
}

/// Algorithms that may be combined freely: one transform of each type is to be chosen (RFC 7296 §3.3).
///
/// As a configuration states it, as it travels (with a number and an SPI around it), and, holding exactly one transform
/// of each type, as it was chosen.
public struct Proposal: Hashable, Sendable {
    /// What it is for.
    public var securityProtocol: SecurityProtocol
    /// The alternatives, the preferred of each type first.
    public var transforms: [Transform]

    /// A proposal.
    public init(_ securityProtocol: SecurityProtocol, _ transforms: [Transform]) {
        self.securityProtocol = securityProtocol
        self.transforms = transforms
    }

    /// The alternatives of one type, the preferred first.
    public func transforms(of type: TransformType) -> [Transform] { transforms.filter { $0.type == type } }

    /// The additional key exchanges of a chosen proposal, in the order in which they take place (RFC 9370 §2.2.1).
    public var additionalKeyExchanges: [Transform] {
        guard transforms.contains(where: { $0.type.additionalKeyExchange != nil }) else { return [] }
        return TransformType.additionalKeyExchanges.compactMap { first($0) }.filter { $0.id != 0 }
    }

    /// The first alternative of a type: in a chosen proposal, the only one.
    public func first(_ type: TransformType) -> Transform? { transforms.first { $0.type == type } }
}
