import CIPsecCrypto
public import Clockwork

/// Random octets from libcrypto's generator, seeded by the kernel.
///
/// A generator that fails leaves nothing safe to do: the process stops. No peer can bring that about.
public struct SystemEntropy: Entropy, Sendable {
    /// The process's generator.
    public init() {}

    /// Overwrites every octet of `span` with random ones.
    public mutating func fill(_ span: inout MutableSpan<UInt8>) {
        guard !span.isEmpty else { return }
        let done = unsafe span.withUnsafeMutableBufferPointer { buffer in
            // The buffer is valid for the call, and libcrypto writes exactly `count` octets.
            guard let base = buffer.baseAddress else { return true }
            return unsafe martlet_random(base, buffer.count) == 1
        }
        guard done else { fatalError("the system's random generator failed") }
    }
}
