// What travels inside TTLS and PEAP, at both ends, and how TLS is cut into pieces around it.
import Clockwork
import EAPEngine
import FuzzSupport
import GatewayModel
import IPsecCrypto
import WireFormat

private let password = OnePassword()

/// The first octet chooses the tunnel and the end; then come messages, each behind its length in two octets.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTunnel(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe Fuzz.octets(start, count)
    guard let first = input.first else { return 0 }
    let method: EAPMethod = first & 1 == 0 ? .ttls : .peap
    let inner: [EAPMethod] = [.mschapv2, .gtc, .md5]
    let terms = EAPServer.Terms(
        rules: EAPRules(methods: [method], inner: inner), asked: .any, name: [99], ownName: [1])
    let isServer = first & 2 == 0
    let made =
        isServer
        ? InnerConversation(server: method, terms) : InnerConversation(peer: method, [.mschapv2], name: [99])
    guard var conversation = made else { fatalError("these methods carry these inner ones") }
    var surroundings = EAPSurroundings(entropy: SeededEntropy(seed: 1), secrets: password)
    if let list = try? TunnelAttribute.list(Array(input.dropFirst())) {
        let again = try? TunnelAttribute.list(list.flatMap(\.encoded))
        Fuzz.require(again == list, "attributes that are read are written in the same way")
    }
    _ = Fuzz.observe("\(conversation.receive([], &surroundings))")
    var place = 1
    while place + 1 < input.count {
        let length = min(Int(input[place]) << 8 | Int(input[place + 1]), input.count - place - 2)
        let message = Array(input[(place + 2)..<(place + 2 + length)])
        place += 2 + length
        switch conversation.receive(message, &surroundings) {
        case .said(let words): _ = Fuzz.observe("\(words.count)")
        case .done: fatalError("somebody without the password gets through")
        case .failed(let problem):
            _ = Fuzz.observe("\(problem)")
            return 0
        }
    }
    return 0
}
