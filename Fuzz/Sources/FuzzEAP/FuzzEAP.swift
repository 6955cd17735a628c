// EAP as it comes out of an IKE_AUTH payload, at both ends: packets, the conversation, the methods. As the server, nobody
// gets in who does not know the password; as the peer, no server that does not know it is believed by MSCHAPv2.
import Clockwork
import EAPEngine
import FuzzSupport
import GatewayModel
import IPsecCrypto
import WireFormat

private let password = OnePassword()

/// The first octet chooses the end and the methods; then come messages, each behind its length.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzEAP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe Fuzz.octets(start, count)
    guard let first = input.first else { return 0 }
    let simple: [EAPMethod] = [.mschapv2, .md5, .gtc]
    let chosen = Int(first >> 1) % 4
    let rules = EAPRules(methods: chosen == 3 ? simple : [simple[chosen]], inner: [.mschapv2])
    var surroundings = EAPSurroundings(entropy: SeededEntropy(seed: 1), secrets: password)
    var server = EAPServer(
        EAPServer.Terms(rules: rules, asked: first & 0x80 == 0 ? .any : nil, name: [99], ownName: [1]))
    var peer = EAPPeer(rules, name: [99])
    let isServer = first & 1 == 0
    if isServer { _ = server.step(nil, &surroundings) }
    var place = 1
    while place < input.count {
        let length = min(Int(input[place]), input.count - place - 1)
        let message = Array(input[(place + 1)..<(place + 1 + length)])
        place += 1 + length
        if let packet = try? EAPPacket(message) {
            let again = try? EAPPacket(packet.encoded)
            Fuzz.require(again == packet, "a packet that is read is written in the same way")
        }
        if isServer {
            switch server.step(message, &surroundings) {
            case .send(let answer): _ = Fuzz.observe("\(answer.count)")
            case .success: fatalError("somebody without the password gets in")
            case .failure(_, let problem): _ = Fuzz.observe("\(problem)")
            }
        } else {
            switch peer.step(message, &surroundings) {
            case .send(let answer): _ = Fuzz.observe("\(answer.count)")
            case .success(_, let outcome):
                Fuzz.require(outcome.method != 26, "a server without the password is believed")
                Fuzz.require(outcome.key == nil, "a method without a key has one")
            case .failure(_, let problem): _ = Fuzz.observe("\(problem)")
            }
        }
    }
    return 0
}
