import CTrust
public import WireFormat

/// A TLS 1.2 or 1.3 session over memory, for methods of EAP (RFC 5216 §2, RFC 9190).
///
/// It owns libssl's session, which is wiped when this object goes. Records go in and come out as octets; it never sends
/// anything, asks no clock, and belongs to one conversation, which hands it from step to step. Whoever made it says whom
/// it trusts; what it proved is looked at again by ``peerChain``'s reader.
@safe
public final class TLSSession: @unchecked Sendable {
    // `@unchecked`: one conversation has it, and takes one step at a time.
    private let tls: OpaquePointer

    /// The latest version that a session may agree on.
    public enum Version: Int32, Sendable {
        case tls12 = 12
        case tls13 = 13
    }

    /// What one end shows: its key, its certificate and those above it.
    public struct Credential: Sendable {
        let key: PrivateKey
        let chain: [Certificate]

        /// What an end shows; the chain begins with the key's certificate.
        public init(key: PrivateKey, chain: [Certificate]) {
            self.key = key
            self.chain = chain
        }
    }

    /// A session; nil when libssl refuses these keys.
    ///
    /// - Parameters:
    ///   - own: What we show, as a server always.
    ///   - anchors: Whom we trust. As a server, the client has to show a certificate when there are any.
    ///   - moment: Seconds since 1970.
    public init?(
        isServer: Bool, own: Credential?, anchors: [Certificate], at moment: Int64, latest: Version = .tls13
    ) {
        guard let ownList = CertificateList(own?.chain ?? []), let anchorList = CertificateList(anchors) else {
            return nil
        }
        // All lists live until after the call, which shares what it needs of them.
        let made = unsafe martlet_tls_new(
            isServer ? 1 : 0, own?.key.key, own == nil ? nil : ownList.list, anchors.isEmpty ? nil : anchorList.list,
            moment, 1, latest.rawValue)
        guard let made = unsafe made else { return nil }
        unsafe tls = made
    }

    deinit {
        // Made by `init`.
        unsafe martlet_tls_free(tls)
    }

    /// Where the handshake is.
    public enum Progress: Hashable, Sendable {
        /// The other end has to say something.
        case going
        /// It is done.
        case done
        /// It came to nothing; one clause.
        case failed(String)
    }

    /// Goes on with the handshake with what came. What is to be sent then is in ``takeOutput()``, an alert too.
    public func handshake(_ records: [UInt8]) -> Progress {
        guard put(records) else { return .failed("too many records") }
        switch unsafe martlet_tls_go(tls) {
        case Int32(MARTLET_TLS_DONE): return .done
        case Int32(MARTLET_TLS_GOING): return .going
        default: return .failed(failure)
        }
    }

    private func put(_ records: [UInt8]) -> Bool {
        unsafe records.lend { octets, count in
            // Copied during the call.
            unsafe martlet_tls_put(tls, octets, count)
        } == 1
    }

    /// Why it failed: libcrypto's words for the certificate, or libssl's for all else. Both are constants that end in a
    /// zero octet.
    private var failure: String {
        let verdict = unsafe martlet_tls_verdict(tls)
        if verdict != X509_V_OK { return unsafe String(cString: martlet_chain_words(verdict)) }
        return unsafe String(cString: martlet_tls_words(tls))
    }

    /// Takes out the records that are to be sent.
    public func takeOutput() -> [UInt8] {
        var octets = [UInt8](repeating: 0, count: unsafe martlet_tls_take(tls, nil, 0))
        guard !octets.isEmpty else { return [] }
        let taken = unsafe octets.withUnsafeMutableBufferPointer { buffer in
            // Writes exactly what it announced before.
            unsafe martlet_tls_take(tls, buffer.baseAddress, buffer.count)
        }
        return Array(octets.prefix(taken))
    }

    /// The records that carry these octets; nil when the session is broken.
    public func sealed(_ octets: [UInt8]) -> [UInt8]? {
        let done = unsafe octets.lend { bytes, count in
            // Read during the call only.
            unsafe martlet_tls_write(tls, bytes, count)
        }
        return done == 1 ? takeOutput() : nil
    }

    /// What records hold, `limit` octets at most; nil when they are not the other end's.
    public func opened(_ records: [UInt8], limit: Int = 65_536) -> [UInt8]? {
        guard put(records) else { return nil }
        var octets: [UInt8] = []
        while octets.count <= limit {
            var result = Int32(MARTLET_TLS_FAILED)
            let (outcome, piece) = unsafe LibraryBytes.filled(room: 16_384) { out, length in
                var count = length
                // Writes no more than `count`, which is the buffer's.
                result = unsafe martlet_tls_read(tls, out, &count)
                length = count
                return result
            }
            switch outcome {
            case Int32(MARTLET_TLS_DONE): octets += piece
            case Int32(MARTLET_TLS_GOING): return octets
            default: return nil
            }
        }
        return nil
    }

    #if DEBUG
        /// The records of what no end of ours does, for tests of the other one: a second handshake within the session (TLS
        /// 1.2), or other keys (TLS 1.3). Empty when libssl won't. No release has it.
        func hostileRecords() -> [UInt8] { unsafe martlet_tls_begin_anew(tls) == 1 ? takeOutput() : [] }
    #endif

    /// The version that both agreed on.
    public var version: Version { unsafe martlet_tls_version(tls) == 13 ? .tls13 : .tls12 }

    /// Keying material (RFC 5705, RFC 8446 §7.5); nil before the handshake is done.
    public func exported(_ label: String, context: [UInt8]?, count: Int) -> SecretBytes? {
        var isDone = false
        let secret = SecretBytes(count: count) { out in
            unsafe out.withUnsafeMutableBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                // Writes exactly `count` octets; the context is read during the call only.
                if let context {
                    isDone =
                        unsafe context.lend { octets, length in
                            unsafe martlet_tls_export(tls, label, octets, length, base, count)
                        } == 1
                } else {
                    isDone = unsafe martlet_tls_export(tls, label, nil, 0, base, count) == 1
                }
            }
        }
        return isDone ? secret : nil
    }

    /// The certificates that the other end showed, its own first; empty for none.
    public var peerChain: [Certificate] {
        guard let list = unsafe martlet_tls_peer(tls) else { return [] }
        // What the call made is ours.
        return (try? unsafe CertificateList(adopting: list).certificates()) ?? []
    }
}
