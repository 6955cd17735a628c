/// Memory for one packet, made once.
///
/// It owns the octets and belongs to one thread. It never looks into them.
@safe
final class PacketMemory {
    // Made in `init`, freed in `deinit`; whoever borrows it lets go before that.
    private let bytes: UnsafeMutableRawBufferPointer

    /// Room for `count` octets, all zero.
    init(_ count: Int) {
        unsafe bytes = .allocate(byteCount: count, alignment: 64)
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { unsafe bytes.deallocate() }

    /// All of it, for the packet path, which confines its raw pointers.
    @unsafe var all: UnsafeMutableRawBufferPointer { unsafe bytes }
}
