public import IPsecCrypto
import WireFormat

/// A transform as it travels (RFC 7296 §3.3.2, figure 8): with attributes that we may not understand.
public struct WireTransform: Hashable, Sendable {
    /// The transform as far as it is understood.
    public var transform: Transform
    /// Attributes that are not understood. A transform that has any must not be chosen (RFC 7296 §3.3.6).
    public var unknownAttributes: [TransformAttribute]

    /// A transform.
    public init(_ transform: Transform, unknownAttributes: [TransformAttribute] = []) {
        self.transform = transform
        self.unknownAttributes = unknownAttributes
    }

    /// Whether all of it is understood.
    public var isUnderstood: Bool { unknownAttributes.isEmpty }
}

/// A proposal as it travels (RFC 7296 §3.3.1, figure 7): with a number and an SPI around it.
public struct WireProposal: Hashable, Sendable {
    /// Its place in the offer, from 1; the answer repeats it.
    public var number: UInt8
    /// What it is for.
    public var securityProtocol: SecurityProtocol
    /// The SPI that the sender will receive with: 0 octets, 8 for IKE in a rekeying, 4 for ESP and AH.
    public var spi: [UInt8]
    /// The alternatives, the preferred of each type first.
    public var transforms: [WireTransform]

    /// A proposal as it travels.
    public init(number: UInt8, _ securityProtocol: SecurityProtocol, spi: [UInt8], transforms: [WireTransform]) {
        self.number = number
        self.securityProtocol = securityProtocol
        self.spi = spi
        self.transforms = transforms
    }

    /// A proposal of ours for ESP, AH or an IKE SA.
    public init(number: UInt8, _ proposal: Proposal, spi: [UInt8]) {
        self.init(
            number: number, proposal.securityProtocol, spi: spi,
            transforms: proposal.transforms.map { WireTransform($0) })
    }

    /// What it offers, without the transforms that are not understood; nil when nothing is left of a transform type, as
    /// then no acceptable choice of it remains.
    public var proposal: Proposal? {
        var understood: [Transform] = []
        understood.reserveCapacity(transforms.count)
        for entry in transforms where entry.isUnderstood { understood.append(entry.transform) }
        for entry in transforms
        where !entry.isUnderstood && !understood.contains(where: { $0.type == entry.transform.type }) {
            return nil
        }
        return Proposal(securityProtocol, understood)
    }

    /// The SPI as a number, for ESP and AH; nil when it doesn't have 4 octets.
    public var spi32: UInt32? { spi.count == 4 ? spi.reduce(0) { $0 << 8 | UInt32($1) } : nil }
    /// The SPI as a number, for IKE; nil when it doesn't have 8 octets.
    public var spi64: UInt64? { spi.count == 8 ? spi.reduce(0) { $0 << 8 | UInt64($1) } : nil }

    /// An SPI's octets.
    public static func octets(_ spi: UInt32) -> [UInt8] {
        var writer = WireWriter(capacity: 4)
        writer.uint32(spi)
        return writer.bytes
    }
    /// An SPI's octets.
    public static func octets(_ spi: UInt64) -> [UInt8] {
        var writer = WireWriter(capacity: 8)
        writer.uint64(spi)
        return writer.bytes
    }
}
