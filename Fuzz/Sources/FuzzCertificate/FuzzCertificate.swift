// What a peer sends to prove itself: a CERT payload's DER, an AUTH payload's data, and what is made of them before and
// after somebody is believed. Nothing in it has been authenticated by anybody.
import FuzzSupport
import GatewayModel
import IKEMessages
import IPsecCrypto
import Trust

/// An authority that nobody's certificate leads to but by luck; the fuzzer goes for parsers, not for signatures.
private let anchor: Certificate? = {
    guard let key = try? PrivateKey(generating: .ed25519), let name = DistinguishedName(text: "CN=anchor") else {
        return nil
    }
    return CertificateIssuer(nil, key).issue(
        name, key.publicKey, serial: [1], validity: 0...4_000_000_000,
        extensions: [.init("basicConstraints", "critical,CA:TRUE")])
}()

/// The first octet chooses the AUTH method and how the rest is divided: certificate, then AUTH data.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzCertificate(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe Fuzz.octets(start, count)
    guard let first = input.first, input.count > 4 else { return 0 }
    let methods: [AuthenticationMethod] = [.rsaSignature, .ecdsa256, .ecdsa384, .ecdsa521, .digitalSignature]
    let method = methods[Int(first) % methods.count]
    let authLength = min(Int(input[1]), input.count - 2)
    let authentication = AuthenticationPayload(method, Array(input[2..<(2 + authLength)]))
    let der = Array(input[(2 + authLength)...])
    let list = try? RevocationList(file: der)
    _ = Fuzz.observe("\(list?.count ?? -1) \(list?.entries.count ?? 0)")
    _ = Fuzz.observe("\((try? PublicKey(file: der))?.kind.description ?? "")")
    if let certificate = try? Certificate(der: der) {
        Fuzz.require(certificate.der.count <= der.count + 64, "a certificate is what was read")
        _ = Fuzz.observe(certificate.name + IdentityBinding.names(of: certificate).joined())
        _ = Fuzz.observe("\(certificate.locations(.revocationList)) \(certificate.locations(.responder))")
        for kind in [Identity.Kind.fqdn, .rfc822Address, .ipv4Address, .asn1DN, .keyID] {
            Fuzz.require(
                !IdentityBinding.holds(Identity(kind, []), certificate), "nobody is called nothing at all")
        }
        if let scheme = SignatureChoice.read(authentication, certificate.key.kind) {
            _ = Fuzz.observe(scheme.scheme.description)
        }
        let chain = anchor.map { [certificate, $0] } ?? [certificate]
        if let list {
            _ = Fuzz.observe("\(RevocationCheck(lists: [list]).status(of: chain, at: 0, moment: 1_700_000_000))")
        }
    }
    let verifier = PeerVerifier(
        pinned: [], rawKeys: [],
        validator: ChainValidator(anchors: anchor.map { [$0] } ?? [], policy: SignaturePolicy(SignatureRules())))
    do throws(PeerVerifier.Failure) {
        _ = try verifier.verify(
            .fqdn("a.lab"), signed: [1, 2, 3], authentication, [CertificatePayload(.x509Signature, der)],
            agreedHashes: true, at: 1_700_000_000)
        fatalError("somebody is believed without the authority's key")
    } catch {
        _ = Fuzz.observe("\(error)")
    }
    return 0
}
