import CTrust
import IPsecCrypto

/// A question to a responder about one certificate (RFC 6960), and what its answer is worth.
///
/// It owns the request's octets and the rules of an answer: who may sign it, whether it is ours and of now. It never sends
/// anything. Whether a responder's own certificate is revoked is not asked: that would have no end.
public struct OCSPQuestion: Sendable {
    /// The certificate that is asked about.
    public let certificate: Certificate
    /// Who has issued it.
    public let issuer: Certificate
    /// What makes an answer ours: 32 octets of chance; empty for an answer that was not asked for (RFC 4806).
    public let nonce: [UInt8]

    /// The media types of requests and answers.
    public static let requestType = "application/ocsp-request"
    /// No answer is longer, in octets.
    public static let longestAnswer = 256 << 10

    /// A question; `nonce` has at most 32 octets.
    public init(_ certificate: Certificate, issuer: Certificate, nonce: [UInt8]) {
        self.certificate = certificate
        self.issuer = issuer
        self.nonce = nonce
    }

    /// The request in DER; nil when libcrypto refuses.
    public var request: [UInt8]? {
        let (done, octets) = unsafe LibraryBytes.filled(room: 4096) { out, length in
            unsafe nonce.lend { chance, count in
                // All live until after the call, which writes no more than the room.
                length = unsafe martlet_ocsp_request(
                    certificate.library, issuer.library, chance, count, out, length)
                return length > 0 ? 1 : 0
            }
        }
        return done == 1 ? octets : nil
    }

    /// What an answer says.
    public enum Verdict: Hashable, Sendable {
        /// Not revoked, until this moment in seconds since 1970.
        case good(until: Int64)
        /// Revoked.
        case revoked
        /// Nothing that helps; one clause.
        case useless(String)
    }

    /// Judges an answer at a moment in seconds since 1970. `responders` may sign for any authority.
    public func verdict(on answer: [UInt8], responders: [Certificate] = [], moment: Int64) -> Verdict {
        guard let others = CertificateList(responders) else { return .useless("out of memory") }
        var (from, until): (Int64, Int64) = (0, 0)
        let result = unsafe answer.lend { octets, length in
            unsafe nonce.lend { chance, count in
                // All live until after the call, which changes none.
                unsafe martlet_ocsp_judge(
                    octets, length, certificate.library, issuer.library, others.list,
                    count > 0 ? chance : nil, count, moment, &from, &until)
            }
        }
        switch Int(result) {
        case Int(MARTLET_OCSP_GOOD): return .good(until: until)
        case Int(MARTLET_OCSP_REVOKED): return .revoked
        case Int(MARTLET_OCSP_UNKNOWN): return .useless("the responder does not know the certificate")
        case Int(MARTLET_OCSP_REFUSED): return .useless("the responder declines to answer")
        case Int(MARTLET_OCSP_WRONG_SIGNER):
            return .useless("somebody has signed the answer who may not answer for '\(issuer.name)'")
        case Int(MARTLET_OCSP_WRONG_NONCE): return .useless("the answer belongs to another question")
        case Int(MARTLET_OCSP_WRONG_CERTIFICATE): return .useless("the answer is about another certificate")
        case Int(MARTLET_OCSP_STALE): return .useless("the answer is out of date")
        default: return .useless("the answer is malformed")
        }
    }
}
