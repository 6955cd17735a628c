// Files that hold private keys: PKCS #12, and PKCS #8 and its kin in PEM or DER, with a password and without.
import FuzzSupport
import Trust
import WireFormat

private let password = SecretBytes(Array("secret".utf8))

/// The whole input is the file.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzContainer(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe Fuzz.octets(start, count)
    let file = SecretBytes(input)
    for word in [nil, password] {
        if let container = try? CertificateFile.container(file, password: word) {
            _ = Fuzz.observe("\(container.certificates.count) \(container.key != nil)")
        }
        if let key = try? PrivateKey(file: file, password: word) {
            _ = Fuzz.observe(key.publicKey.kind.description)
        }
    }
    _ = Fuzz.observe("\((try? CertificateFile.certificates(input))?.count ?? 0)")
    return 0
}
