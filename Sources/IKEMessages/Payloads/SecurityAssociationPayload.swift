import IPsecCrypto
public import WireFormat

/// Proposals, or the chosen one (RFC 7296 §3.3, figures 6 to 9).
///
/// It owns the three nested lists and their counts. It never chooses, and never judges whether the transforms of a
/// proposal make sense together.
public struct SecurityAssociationPayload: PayloadBody {
    /// The most proposals that are read: as many as their numbers can tell apart.
    public static let maximumProposals = 255

    /// The proposals in the order of preference; never empty.
    public var proposals: [WireProposal]

    /// A list of proposals.
    public init(_ proposals: [WireProposal]) { self.proposals = proposals }

    /// Reads the body; fails when there is no proposal, when a count or a "more follow" octet is wrong, when an SPI
    /// doesn't have its protocol's length, or when a key length is not a number of bits.
    public init(parsing reader: inout WireReader) throws(WireError) {
        proposals = []
        var more = true
        while more {
            guard proposals.count < Self.maximumProposals else {
                throw .forbidden(field: "number of proposals", value: UInt64(proposals.count + 1))
            }
            more = try Self.more(&reader, 2, "last proposal")
            try reader.skip(1, "reserved")
            let length = Int(try reader.uint16("proposal length"))
            var body = try reader.child(length - 4, "proposal")
            proposals.append(try Self.proposal(&body))
            try body.finish("proposal")
        }
    }

    /// The octet that says whether another substructure follows: 0, or this kind's `marker`.
    private static func more(
        _ reader: inout WireReader, _ marker: UInt8, _ field: StaticString
    ) throws(WireError) -> Bool {
        let octet = try reader.uint8(field)
        guard octet == 0 || octet == marker else {
            throw .forbidden(field: String(describing: field), value: UInt64(octet))
        }
        return octet != 0
    }

    private static func proposal(_ reader: inout WireReader) throws(WireError) -> WireProposal {
        let number = try reader.uint8("proposal number")
        let securityProtocol = SecurityProtocol(rawValue: try reader.uint8("protocol"))
        let spiSize = Int(try reader.uint8("SPI size"))
        let count = Int(try reader.uint8("number of transforms"))
        let allowed: Bool
        switch securityProtocol {
        case .ike: allowed = spiSize == 0 || spiSize == 8
        case .ah, .esp: allowed = spiSize == 4
        default: allowed = true
        }
        guard allowed else { throw .forbidden(field: "SPI size for \(securityProtocol)", value: UInt64(spiSize)) }
        let spi = try reader.bytes(spiSize, "SPI")
        var transforms: [WireTransform] = []
        transforms.reserveCapacity(count)
        for index in 0..<count {
            let more = try more(&reader, 3, "last transform")
            guard more == (index + 1 < count) else {
                throw .forbidden(field: "number of transforms", value: UInt64(count))
            }
            try reader.skip(1, "reserved")
            let length = Int(try reader.uint16("transform length"))
            var body = try reader.child(length - 4, "transform")
            transforms.append(try transform(&body))
        }
        return WireProposal(number: number, securityProtocol, spi: spi, transforms: transforms)
    }

    private static func transform(_ reader: inout WireReader) throws(WireError) -> WireTransform {
        let type = TransformType(rawValue: try reader.uint8("transform type"))
        try reader.skip(1, "reserved")
        let id = try reader.uint16("transform ID")
        var keyBits: UInt16?
        var unknown: [TransformAttribute] = []
        while !reader.isAtEnd {
            let attribute = try TransformAttribute(parsing: &reader)
            switch attribute.value {
            case .short(let bits) where attribute.type == TransformAttribute.keyLength:
                guard keyBits == nil else { throw .forbidden(field: "second key length", value: UInt64(bits)) }
                keyBits = bits
            case .long(let octets) where attribute.type == TransformAttribute.keyLength:
                throw .forbidden(field: "octets of a key length", value: UInt64(octets.count))
            default: unknown.append(attribute)
            }
        }
        return WireTransform(Transform(type, id, keyBits: keyBits), unknownAttributes: unknown)
    }

    /// Appends the body. What can't be counted in one octet (an SPI or a list of transforms above 255) is left out.
    public func write(into writer: inout WireWriter) {
        for index in proposals.indices {
            writer.uint8(index + 1 < proposals.count ? 2 : 0)
            writer.uint8(0)
            writer.lengthPrefixed16(overhead: 4) { writer in Self.write(proposals[index], into: &writer) }
        }
    }

    private static func write(_ proposal: WireProposal, into writer: inout WireWriter) {
        let spi = proposal.spi.span.extracting(first: 255)
        let count = min(proposal.transforms.count, 255)
        writer.uint8(proposal.number)
        writer.uint8(proposal.securityProtocol.rawValue)
        writer.uint8(UInt8(truncatingIfNeeded: spi.count))
        writer.uint8(UInt8(truncatingIfNeeded: count))
        writer.append(spi)
        for index in 0..<count {
            writer.uint8(index + 1 < count ? 3 : 0)
            writer.uint8(0)
            writer.lengthPrefixed16(overhead: 4) { writer in
                let transform = proposal.transforms[index].transform
                writer.uint8(transform.type.rawValue)
                writer.uint8(0)
                writer.uint16(transform.id)
                if let bits = transform.keyBits {
                    TransformAttribute.writeKeyLength(bits, into: &writer)
                }
                for attribute in proposal.transforms[index].unknownAttributes { attribute.write(into: &writer) }
            }
        }
    }
}
