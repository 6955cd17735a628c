import Clockwork
import IPsecCrypto
import NetworkTypes
import SimulatedNetwork
import WireFormat

/// A message of the toy protocol: IKE's header, a checksum that only who knows the key can make, words.
struct ToyMessage {
    var initiatorSPI: UInt64
    var responderSPI: UInt64
    var exchange: UInt8
    var isFromInitiator: Bool
    var isResponse: Bool
    var messageID: UInt32
    var words: [String]

    func encoded(key: UInt64) -> [UInt8] {
        var writer = WireWriter()
        writer.uint64(initiatorSPI)
        writer.uint64(responderSPI)
        writer.uint8(46)
        writer.uint8(0x20)
        writer.uint8(exchange)
        writer.uint8((isResponse ? 0x20 : 0) | (isFromInitiator ? 0x08 : 0))
        writer.uint32(messageID)
        let text = Array(words.joined(separator: "|").utf8)
        writer.uint32(UInt32(36 + text.count))
        writer.append(text)
        writer.uint64(Self.checksum(writer.bytes, key))
        return writer.bytes
    }

    init(
        initiatorSPI: UInt64, responderSPI: UInt64, exchange: UInt8, isFromInitiator: Bool, isResponse: Bool,
        messageID: UInt32, words: [String]
    ) {
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        self.exchange = exchange
        self.isFromInitiator = isFromInitiator
        self.isResponse = isResponse
        self.messageID = messageID
        self.words = words
    }

    /// The message, if its checksum fits the key; `nil` keys are looked up by the SPIs.
    init?(_ bytes: [UInt8], key: (UInt64, UInt64) -> UInt64?) {
        guard bytes.count >= 36, let header = WireHeader(bytes),
            let key = header.exchange == 34 ? 0 : key(header.spis.initiator, header.spis.responder)
        else { return nil }
        let end = bytes.count - 8
        let sum = bytes[end...].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard sum == Self.checksum(Array(bytes[..<end]), key) else { return nil }
        self.init(
            initiatorSPI: header.spis.initiator, responderSPI: header.spis.responder, exchange: header.exchange,
            isFromInitiator: header.isFromInitiator, isResponse: header.isResponse, messageID: header.messageID,
            words: String(decoding: bytes[28..<end], as: UTF8.self)
                .split(separator: "|", omittingEmptySubsequences: false).map { String($0) })
    }

    private static func checksum(_ bytes: [UInt8], _ key: UInt64) -> UInt64 {
        var digest = TraceDigest()
        digest.absorb(key)
        digest.absorb(bytes)
        return digest.value
    }
}

/// Proposals and selectors as words.
enum ToyWords {
    static func text(_ proposals: [Proposal]) -> String {
        proposals.map { proposal in
            proposal.transforms.map { "\($0.type.rawValue).\($0.id).\($0.keyBits ?? 0)" }.joined(separator: ",")
        }.joined(separator: ";")
    }

    static func proposals(_ text: String, _ securityProtocol: SecurityProtocol) -> [Proposal] {
        text.split(separator: ";").map { part in
            Proposal(
                securityProtocol,
                part.split(separator: ",").compactMap { word in
                    let numbers = word.split(separator: ".").compactMap { UInt16($0) }
                    guard numbers.count == 3 else { return nil }
                    return Transform(
                        TransformType(rawValue: UInt8(truncatingIfNeeded: numbers[0])), numbers[1],
                        keyBits: numbers[2] == 0 ? nil : numbers[2])
                })
        }
    }

    /// The first of `offered` in which every type has a transform that `own` has too.
    static func choice(_ offered: [Proposal], _ own: [Proposal]) -> Proposal? {
        for theirs in offered {
            for ours in own {
                let types = Set(theirs.transforms.map(\.type)).sorted()
                guard types == Set(ours.transforms.map(\.type)).sorted() else { continue }
                let chosen = types.compactMap { type in
                    theirs.transforms(of: type).first { ours.transforms.contains($0) }
                }
                if chosen.count == types.count { return Proposal(theirs.securityProtocol, chosen) }
            }
        }
        return nil
    }

    static func text(_ selector: TrafficSelector) -> String {
        "\(selector.addresses.lower)/\(selector.addresses.upper)/\(selector.ipProtocol.rawValue)"
    }

    static func selector(_ text: String) -> TrafficSelector? {
        let parts = text.split(separator: "/").map { String($0) }
        guard parts.count == 3, let lower = IPAddress(parts[0]), let upper = IPAddress(parts[1]),
            let number = UInt8(parts[2]), let range = AddressRange(lower, upper)
        else { return nil }
        return TrafficSelector(range, ipProtocol: IPProtocolNumber(rawValue: number))
    }
}
