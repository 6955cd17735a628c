import CTrust
import WireFormat

extension PrivateKey {
    /// This key, its certificate and those above it as PKCS #12, encrypted with AES-256.
    func container(
        _ certificate: Certificate, above: [Certificate], name: String, password: SecretBytes
    ) -> SecretBytes? {
        guard let others = CertificateList(above) else { return nil }
        var length = 0
        let octets = SecretBytes(count: 1 << 18) { span in
            unsafe span.withUnsafeMutableBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                let room = buffer.count
                unsafe password.lend { word, count in
                    // Writes no more than the room; all that is lent lives until after the call.
                    unsafe length = martlet_container_write(
                        key, certificate.library, others.list, word, count, name, base, room)
                }
            }
        }
        return length > 0 ? octets.slice(0..<length) : nil
    }
}
