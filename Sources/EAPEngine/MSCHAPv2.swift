import IPsecCrypto
public import WireFormat

/// MSCHAPv2's arithmetic (RFC 2759 §8) and the keys that follow from it (RFC 3079 §3).
///
/// It owns the order in which library calls are made. It never sends or keeps anything.
public enum MSCHAPv2 {
    /// NtPasswordHash (RFC 2759 §8.3): MD4 over the password in UTF-16, the low octet first; nil for what is not UTF-8.
    public static func ntHash(ofPassword password: SecretBytes) -> SecretBytes? {
        var units: [UInt8] = []
        units.reserveCapacity(2 * password.count)
        let octets = password.exposedBytes()
        let isBroken = transcode(
            octets.makeIterator(), from: UTF8.self, to: UTF16.self, stoppingOnError: true,
            into: { unit in
                units.append(UInt8(truncatingIfNeeded: unit))
                units.append(UInt8(truncatingIfNeeded: unit >> 8))
            })
        return isBroken ? nil : LegacyPrimitives.md4(SecretBytes(units))
    }

    /// ChallengeHash (§8.2): 8 octets. `name` is the name as it travelled; a domain before it does not count.
    public static func challengeHash(peer: [UInt8], authenticator: [UInt8], name: [UInt8]) -> [UInt8] {
        Array(Digest.sha1([peer, authenticator, userName(name)]).prefix(8))
    }

    /// The name without the domain: what follows the last `\`.
    public static func userName(_ name: [UInt8]) -> [UInt8] {
        name.lastIndex(of: UInt8(ascii: "\\")).map { Array(name[($0 + 1)...]) } ?? name
    }

    /// ChallengeResponse (§8.5): 24 octets; nil for lengths that are none.
    public static func response(challenge: [UInt8], hash: SecretBytes) -> [UInt8]? {
        guard hash.count == 16 else { return nil }
        let padded = SecretBytes.joined([hash, SecretBytes([UInt8](repeating: 0, count: 5))])
        var response: [UInt8] = []
        for start in [0, 7, 14] {
            guard let key = padded.slice(start..<(start + 7)),
                let block = LegacyPrimitives.des(challenge, key: key)
            else { return nil }
            response += block
        }
        return response
    }

    /// GenerateNTResponse (§8.1): 24 octets.
    public static func ntResponse(
        authenticator: [UInt8], peer: [UInt8], name: [UInt8], hash: SecretBytes
    ) -> [UInt8]? {
        response(challenge: challengeHash(peer: peer, authenticator: authenticator, name: name), hash: hash)
    }

    /// GenerateAuthenticatorResponse (§8.7), 20 octets: what travels as `S=` and 40 digits.
    public static func authenticatorResponse(
        hash: SecretBytes, ntResponse: [UInt8], peer: [UInt8], authenticator: [UInt8], name: [UInt8]
    ) -> [UInt8] {
        let digest = Digest.sha1([
            LegacyPrimitives.md4(hash).exposedBytes(), ntResponse,
            Array("Magic server to client signing constant".utf8),
        ])
        return Digest.sha1([
            digest, challengeHash(peer: peer, authenticator: authenticator, name: name),
            Array("Pad to make it do more than one iteration".utf8),
        ])
    }

    /// GetMasterKey (RFC 3079 §3.4): 16 octets.
    public static func masterKey(hash: SecretBytes, ntResponse: [UInt8]) -> SecretBytes {
        SecretBytes(
            Array(
                Digest.sha1([
                    LegacyPrimitives.md4(hash).exposedBytes(), ntResponse,
                    Array("This is the MPPE Master Key".utf8),
                ]).prefix(16)))
    }

    /// GetAsymmetricStartKey (RFC 3079 §3.4): 16 octets for one direction.
    public static func startKey(master: SecretBytes, fromClient: Bool) -> SecretBytes {
        let magic =
            fromClient
            ? "On the client side, this is the send key; on the server side, it is the receive key."
            : "On the client side, this is the receive key; on the server side, it is the send key."
        return SecretBytes(
            Array(
                Digest.sha1([
                    master.exposedBytes(), [UInt8](repeating: 0x00, count: 40), Array(magic.utf8),
                    [UInt8](repeating: 0xf2, count: 40),
                ]).prefix(16)))
    }

    /// The MSK that EAP-MSCHAPv2 leaves, 64 octets: the key from the client, the key to it, and zeros.
    public static func sessionKey(hash: SecretBytes, ntResponse: [UInt8]) -> SecretBytes {
        let master = masterKey(hash: hash, ntResponse: ntResponse)
        return .joined([
            startKey(master: master, fromClient: true), startKey(master: master, fromClient: false),
            SecretBytes([UInt8](repeating: 0, count: 32)),
        ])
    }
}
