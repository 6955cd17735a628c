import IPsecCrypto
public import WireFormat

/// What the shared secret of two ends proves about their packets: authenticators and Message-Authenticator (RFC 2865 §3,
/// RFC 2866 §3, RFC 3579 §3.2, RFC 5176 §3).
///
/// It owns the secret. It never lets an answer pass whose Message-Authenticator is missing where one is due: MD5 over a
/// packet alone can be forged by whoever sits on the way (CVE-2024-3596, "Blast-RADIUS").
public struct PacketProof: Sendable {
    private let secret: SecretBytes

    /// Proofs with this secret.
    public init(_ secret: SecretBytes) { self.secret = secret }

    /// Why a packet is not believed.
    public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// The authenticator is not made with our secret.
        case authenticator
        /// Message-Authenticator is not made with our secret, or there is more than one.
        case messageAuthenticator
        /// There is no Message-Authenticator.
        case noMessageAuthenticator

        /// One clause.
        public var description: String {
            switch self {
            case .authenticator: "its authenticator is not made with our shared secret"
            case .messageAuthenticator: "its Message-Authenticator is not made with our shared secret"
            case .noMessageAuthenticator: "it has no Message-Authenticator, so anybody on the way could have forged it"
            }
        }
    }

    // MARK: Ours

    /// An Access-Request as it travels, its Message-Authenticator first; its authenticator has to be random. nil when it
    /// is too long.
    public func sealedAccessRequest(_ request: RADIUSPacket) -> [UInt8]? {
        var packet = request
        packet.attributes.insert(RADIUSAttribute(.messageAuthenticator, Self.zeros), at: 0)
        guard let value = messageAuthenticator(of: packet, under: packet.authenticator) else { return nil }
        packet.attributes[0] = RADIUSAttribute(.messageAuthenticator, value)
        return packet.encoded
    }

    /// An Accounting-Request as it travels (RFC 2866 §3), and its authenticator; nil when it is too long.
    public func sealedAccountingRequest(_ request: RADIUSPacket) -> (octets: [UInt8], authenticator: [UInt8])? {
        var packet = request
        guard let authenticator = digest(of: packet, under: Self.zeros) else { return nil }
        packet.authenticator = authenticator
        return packet.encoded.map { ($0, authenticator) }
    }

    /// An answer to `request` as it travels, with a Message-Authenticator; nil when it is too long.
    public func sealedAnswer(_ answer: RADIUSPacket, to request: RADIUSPacket) -> [UInt8]? {
        var packet = answer
        packet.identifier = request.identifier
        packet.attributes.insert(RADIUSAttribute(.messageAuthenticator, Self.zeros), at: 0)
        guard let value = messageAuthenticator(of: packet, under: request.authenticator) else { return nil }
        packet.attributes[0] = RADIUSAttribute(.messageAuthenticator, value)
        guard let authenticator = digest(of: packet, under: request.authenticator) else { return nil }
        packet.authenticator = authenticator
        return packet.encoded
    }

    // MARK: The other end's

    /// Believes an answer to the request with this authenticator, or says why not.
    public func check(
        answer: RADIUSPacket, to authenticator: [UInt8], needsMessageAuthenticator: Bool
    ) throws(Failure) {
        guard let wanted = digest(of: answer, under: authenticator),
            ConstantTime.equal(wanted, answer.authenticator)
        else { throw .authenticator }
        try check(answer, under: authenticator, isNeeded: needsMessageAuthenticator)
    }

    /// Believes a request of the server's to us, whose authenticator is a keyed hash (RFC 5176 §3), or says why not.
    /// Message-Authenticator is checked where there is one.
    public func check(request: RADIUSPacket) throws(Failure) {
        guard let wanted = digest(of: request, under: Self.zeros), ConstantTime.equal(wanted, request.authenticator)
        else { throw .authenticator }
        try check(request, under: Self.zeros, isNeeded: false)
    }

    private func check(
        _ packet: RADIUSPacket, under authenticator: [UInt8], isNeeded: Bool
    ) throws(Failure) {
        let found = packet.all(.messageAuthenticator)
        guard let first = found.first else {
            if isNeeded { throw .noMessageAuthenticator }
            return
        }
        guard found.count == 1, let wanted = messageAuthenticator(of: packet, under: authenticator),
            ConstantTime.equal(wanted, first.value)
        else { throw .messageAuthenticator }
    }

    // MARK: The hashes

    static let zeros = [UInt8](repeating: 0, count: 16)

    /// MD5(Code | Identifier | Length | authenticator | Attributes | secret).
    private func digest(of packet: RADIUSPacket, under authenticator: [UInt8]) -> [UInt8]? {
        var packet = packet
        packet.authenticator = authenticator
        guard let octets = packet.encoded else { return nil }
        return LegacyPrimitives.md5(octets.followed(by: secret)).exposedBytes()
    }

    /// HMAC-MD5 over the packet with this authenticator and a Message-Authenticator of zeros.
    private func messageAuthenticator(of packet: RADIUSPacket, under authenticator: [UInt8]) -> [UInt8]? {
        var packet = packet
        packet.authenticator = authenticator
        for index in packet.attributes.indices where packet.attributes[index].kind == .messageAuthenticator {
            packet.attributes[index] = RADIUSAttribute(.messageAuthenticator, Self.zeros)
        }
        guard let octets = packet.encoded, let function = PRF(Transform(.prf, 1)) else { return nil }
        return function.compute(key: secret, octets).exposedBytes()
    }

    // MARK: Keys

    /// The key in the value of an MS-MPPE-Send-Key or MS-MPPE-Recv-Key, which answers the request with this
    /// authenticator (RFC 2548 §2.4.2); nil when it is none.
    public func key(in value: [UInt8], requestAuthenticator: [UInt8]) -> SecretBytes? {
        guard value.count >= 2 + 16, (value.count - 2) % 16 == 0 else { return nil }
        let salt = value[0..<2]
        var chained = requestAuthenticator + salt
        var plain = SecretBytes([])
        for start in stride(from: 2, to: value.count, by: 16) {
            let pad = LegacyPrimitives.md5(secret.followed(by: chained))
            let block = Array(value[start..<(start + 16)])
            plain = plain.followed(by: pad.combined(with: block))
            chained = block
        }
        let length = plain.withSpan { Int($0[0]) }
        return length > 0 ? plain.slice(1..<(1 + length)) : nil
    }
}

extension [UInt8] {
    /// These octets with a secret behind them.
    func followed(by secret: SecretBytes) -> SecretBytes {
        SecretBytes(count: count + secret.count) { out in
            for index in indices { out[index] = self[index] }
            secret.withSpan { span in
                for index in span.indices { out[count + index] = span[index] }
            }
        }
    }
}

extension SecretBytes {
    /// This secret with octets behind it.
    func followed(by octets: [UInt8]) -> SecretBytes { followed(by: SecretBytes(octets)) }

    /// This secret with another one behind it.
    func followed(by other: SecretBytes) -> SecretBytes {
        SecretBytes(count: count + other.count) { out in
            withSpan { span in
                for index in span.indices { out[index] = span[index] }
            }
            other.withSpan { span in
                for index in span.indices { out[count + index] = span[index] }
            }
        }
    }

    /// Both, exclusive-or'd; as long as the shorter.
    fileprivate func combined(with octets: [UInt8]) -> SecretBytes {
        SecretBytes(count: min(count, octets.count)) { out in
            withSpan { span in
                for index in 0..<min(span.count, octets.count) { out[index] = span[index] ^ octets[index] }
            }
        }
    }
}
