import Clockwork
import IPsecCrypto
import NetworkTypes
import WireFormat

/// Cookies that prove a return path without any memory of who got one (RFC 7296 §2.6).
///
/// It owns two secrets: the present one, and the one before it, whose cookies are still good. It keeps nothing per peer.
struct CookieJar {
    /// How long a secret makes cookies; they stay good for up to twice as long.
    static let rotation = Interval.seconds(60)

    private struct Secret {
        var version: UInt8
        var key: SecretBytes
        var made: Instant
    }

    private var current: Secret?
    private var previous: Secret?

    /// A jar whose secrets are drawn when they are needed.
    init() {}

    /// The cookie for a request with this nonce and SPI from this address: 1 octet of version, 32 of HMAC.
    mutating func cookie(
        nonce: [UInt8], address: IPAddress, spi: UInt64, now: Instant, _ entropy: inout some Entropy
    ) -> [UInt8] {
        let secret = rotated(now: now, &entropy)
        return [secret.version] + Self.tag(secret, nonce, address, spi)
    }

    /// Whether a request's cookie is one of ours, for this very request.
    func accepts(
        _ cookie: [UInt8], nonce: [UInt8], address: IPAddress, spi: UInt64, now: Instant
    ) -> Bool {
        for secret in [current, previous] {
            guard let secret, now - secret.made < Self.rotation + Self.rotation else { continue }
            if ConstantTime.equal(cookie, [secret.version] + Self.tag(secret, nonce, address, spi)) { return true }
        }
        return false
    }

    private mutating func rotated(now: Instant, _ entropy: inout some Entropy) -> Secret {
        if let current, now - current.made < Self.rotation { return current }
        let key = SecretBytes(count: 32) { entropy.fill(&$0) }
        let fresh = Secret(version: (current?.version ?? 0) &+ 1, key: key, made: now)
        previous = current
        current = fresh
        return fresh
    }

    private static func tag(_ secret: Secret, _ nonce: [UInt8], _ address: IPAddress, _ spi: UInt64) -> [UInt8] {
        let spiOctets = (0..<8).map { UInt8(truncatingIfNeeded: spi >> (56 - 8 * UInt64($0))) }
        return HMAC.sha256(key: secret.key, [nonce, address.bytes, spiOctets])
    }
}
