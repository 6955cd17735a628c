// What an OCSP responder, or a peer in its place (RFC 4806), says about a certificate.
import FuzzSupport
import IPsecCrypto
import Trust

/// An authority whose key nobody else has, and a certificate of its own.
private let pair: (peer: Certificate, authority: Certificate) = {
    guard let key = try? PrivateKey(generating: .p256), let other = try? PrivateKey(generating: .p256),
        let name = DistinguishedName(text: "CN=anchor"), let peer = DistinguishedName(text: "CN=peer"),
        let authority = CertificateIssuer(nil, key).issue(
            name, key.publicKey, serial: [1], validity: 0...4_000_000_000,
            extensions: [.init("basicConstraints", "critical,CA:TRUE")]),
        let leaf = CertificateIssuer(authority, key).issue(
            peer, other.publicKey, serial: [7], validity: 0...4_000_000_000,
            extensions: [.init("subjectAltName", "DNS:peer.example")])
    else { fatalError("the certificates of the test can't be made") }
    return (leaf, authority)
}()

/// The first octet says whether the question had a nonce, and whether others may answer; the rest is the answer.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOCSP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe Fuzz.octets(start, count)
    guard let first = input.first else { return 0 }
    let question = OCSPQuestion(
        pair.peer, issuer: pair.authority, nonce: first & 1 == 0 ? [] : [UInt8](repeating: first, count: 32))
    let verdict = question.verdict(
        on: Array(input.dropFirst()), responders: first & 2 == 0 ? [] : [pair.peer], moment: 1_795_370_000)
    guard case .useless(let reason) = verdict else { fatalError("somebody is believed without the authority's key") }
    _ = Fuzz.observe(reason)
    return 0
}
