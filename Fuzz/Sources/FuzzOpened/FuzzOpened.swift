// What comes out of an encrypted payload: the chain inside, and every exchange that may hold it. A peer that has the
// keys can send anything here.
import FuzzSupport
import IKEMessages

/// Seals nothing, so that the input is the plaintext.
private struct NoCipher: SKCipher {
    let ivLength = 0
    let icvLength = 0
    let blockLength = 1

    func seal(associatedData: Span<UInt8>, iv: Span<UInt8>, plaintext: Span<UInt8>) -> [UInt8]? {
        plaintext.indices.map { plaintext[$0] }
    }
    func open(associatedData: Span<UInt8>, iv: Span<UInt8>, sealed: Span<UInt8>) -> [UInt8]? {
        sealed.indices.map { sealed[$0] }
    }
}

private let exchangeTypes: [ExchangeType] = [
    .ikeAuth, .createChildSA, .informational, .ikeIntermediate, .ikeFollowupKE,
]

/// The first octet chooses the exchange and the direction, the second is the type of the first payload, the rest is the
/// plaintext with its padding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOpened(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe Fuzz.octets(start, count)
    guard input.count > 2, input.count < 60000 else { return 0 }
    let header = IKEHeader(
        initiatorSPI: 1, responderSPI: 2, exchange: exchangeTypes[Int(input[0] >> 1) % exchangeTypes.count],
        flags: input[0] & 1 == 0 ? [.initiator] : [.response], messageID: 1)
    do {
        var datagram = try Message(header, []).encoded()
        datagram[16] = PayloadType.encrypted.rawValue
        let length = input.count - 2 + 4
        datagram += [input[1], 0, UInt8(length >> 8), UInt8(length & 255)] + input[2...]
        for index in 0..<4 { datagram[24 + index] = UInt8(datagram.count >> (24 - 8 * index) & 255) }
        let opened = try SealedMessage(parsing: datagram).open(with: NoCipher())
        _ = Fuzz.observe(opened.description)
        requireFixpoint(opened)
        exchanges(opened)
    } catch {
        _ = Fuzz.observe("\(error)")
    }
    return 0
}

/// The payloads sealed and opened again; nil when they can't be, which `what` must then explain.
private func reopened(_ header: IKEHeader, _ payloads: [Payload]) -> OpenedMessage? {
    let sealed = try? Message(header, payloads).sealed(with: NoCipher(), iv: [])
    return sealed.flatMap { try? SealedMessage(parsing: $0).open(with: NoCipher()) }
}

private func requireFixpoint(_ message: OpenedMessage) {
    guard let again = reopened(message.header, message.payloads) else { fatalError("what was read can't be written") }
    Fuzz.require(again.payloads == message.payloads, "what is written is read as the same")
    let twice = reopened(again.header, again.payloads)
    Fuzz.require(twice?.intermediateOctets == again.intermediateOctets, "writing is canonical")

    // As fragments, joined again.
    var parts: [OpenedFragment] = []
    let datagrams =
        (try? Message(message.header, message.payloads).sealedFragments(with: NoCipher(), maximumLength: 100) { [] })
        ?? []
    for datagram in datagrams {
        guard let sealed = try? SealedMessage(parsing: datagram) else { fatalError("a fragment of ours is refused") }
        if sealed.fragment == nil { return }
        guard let part = try? sealed.openFragment(with: NoCipher()) else { fatalError("a fragment can't be opened") }
        parts.append(part)
    }
    let joined = try? OpenedMessage(joining: parts.reversed())
    Fuzz.require(joined?.payloads == message.payloads, "fragments join to the message")
    Fuzz.require(joined?.intermediateOctets == again.intermediateOctets, "fragments leave no trace in the AUTH octets")
}

private func exchanges(_ message: OpenedMessage) {
    func require<Exchange: Equatable>(
        _ first: Exchange?, _ payloads: (Exchange) -> [Payload], _ parse: (OpenedMessage) throws -> Exchange
    ) {
        guard let first else { return }
        let again = reopened(message.header, payloads(first)).flatMap { try? parse($0) }
        Fuzz.require(again == first, "an exchange survives its own payloads")
    }
    require(try? IKEAuth.Request(message), { $0.payloads }) { try IKEAuth.Request($0) }
    require(try? IKEAuth.Response(message), { $0.payloads }) { try IKEAuth.Response($0) }
    require(try? CreateChildSA.Request(message), { $0.payloads }) { try CreateChildSA.Request($0) }
    require(try? CreateChildSA.Response(message), { $0.payloads }) { try CreateChildSA.Response($0) }
    require(try? Informational(message), { $0.payloads }) { try Informational($0) }
    require(try? IKEIntermediate(message), { $0.payloads }) { try IKEIntermediate($0) }
    require(try? IKEFollowupKE.Request(message), { $0.payloads }) { try IKEFollowupKE.Request($0) }
    require(try? IKEFollowupKE.Response(message), { $0.payloads }) { try IKEFollowupKE.Response($0) }
}
