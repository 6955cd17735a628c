private import CWipe

extension [UInt8] {
    /// Overwrites the octets with zeros, in a way that is not optimised away.
    ///
    /// For a buffer that secrets only pass through, and that nobody shares: a shared one would be copied, and the copy
    /// wiped.
    public mutating func wipe() {
        unsafe withUnsafeMutableBytes { buffer in
            // Writes no more than the buffer's length.
            unsafe martlet_wipe(buffer.baseAddress, buffer.count)
        }
    }
}
