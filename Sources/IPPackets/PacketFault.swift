/// What is wrong with a packet that claims to be IP.
///
/// It carries nothing, so that refusing a packet costs no allocation.
public enum PacketFault: UInt8, Error, Hashable, Sendable, CaseIterable {
    /// The version is neither 4 nor 6.
    case notIP
    /// Fewer octets than the header or its lengths need.
    case short
    /// A header's length is less than the header, or a packet's less than its headers.
    case badLength
    /// More extension headers than anybody needs (IPv6).
    case tooManyExtensions
    /// What a device left undone does not fit the packet: no such checksum, no such pieces.
    case badOffload
}
