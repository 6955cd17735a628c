/// What seals and opens the SK payload of one direction of one IKE SA: a cipher with integrity of its own, or a cipher
/// and a separate integrity algorithm.
///
/// The associated data, the IV and the ciphertext follow each other in the message. A combined mode takes them as they
/// are; a separate integrity algorithm computes its check value over all three in that order, which is the whole
/// message before the check value (RFC 7296 §3.14, RFC 5282 §5).
public protocol SKCipher {
    /// Octets of IV that travel with each message; 0 where it is derived.
    var ivLength: Int { get }
    /// Octets of integrity check value at the end.
    var icvLength: Int { get }
    /// The plaintext (padding and Pad Length included) must be a multiple of this; 1 for counter modes.
    var blockLength: Int { get }

    /// The ciphertext and the integrity check value after it; nil when the library refuses. `plaintext` is whole blocks,
    /// and the ciphertext has as many octets.
    func seal(associatedData: Span<UInt8>, iv: Span<UInt8>, plaintext: Span<UInt8>) -> [UInt8]?

    /// The plaintext of a ciphertext that is followed by its integrity check value; nil when the check fails. `sealed`
    /// is whole blocks and a check value, and the plaintext has as many octets as the ciphertext.
    func open(associatedData: Span<UInt8>, iv: Span<UInt8>, sealed: Span<UInt8>) -> [UInt8]?
}
