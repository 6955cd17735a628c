import GatewayModel
import WireFormat

/// A peer's octets as text that can't steer a terminal.
enum EAPText {
    /// A name.
    static func name(_ octets: [UInt8]) -> String { Identity.keyID(Array(octets.prefix(256))).description }
}

extension SecretBytes {
    /// Secrets one after the other, as one.
    static func joined(_ parts: [SecretBytes]) -> SecretBytes {
        SecretBytes(count: parts.reduce(0) { $0 + $1.count }) { out in
            var place = 0
            for part in parts {
                part.withSpan { span in
                    for index in span.indices { out[place + index] = span[index] }
                }
                place += part.count
            }
        }
    }
}
