internal import CLinux

/// Pieces of memory that one call writes as one packet (writev).
///
/// It owns room for the list, made once, never the pieces: whoever appends one keeps it alive until the packet is
/// written. It belongs to one thread, and to the packet path, which confines its raw pointers.
@safe
public final class GatherList {
    /// How many pieces fit.
    public let capacity: Int
    /// How many pieces there are.
    public private(set) var count = 0
    /// Octets in all pieces.
    public private(set) var octets = 0
    // Owned here and freed in deinit; only entries below `count` are read.
    let pieces: UnsafeMutablePointer<martlet_piece>

    /// A list for `capacity` pieces: 1 to 1024, the kernel's limit.
    public init(capacity: Int) {
        self.capacity = min(max(capacity, 1), 1024)
        unsafe pieces = .allocate(capacity: self.capacity)
        unsafe pieces.initialize(repeating: martlet_piece(), count: self.capacity)
    }

    deinit { unsafe pieces.deallocate() }

    /// Appends a piece; false when the list is full.
    @unsafe
    public func append(_ piece: UnsafeRawBufferPointer) -> Bool {
        guard count < capacity else { return false }
        unsafe pieces[count] = unsafe martlet_piece(base: piece.baseAddress, length: piece.count)
        count += 1
        octets += piece.count
        return true
    }

    /// Forgets all pieces.
    public func removeAll() {
        count = 0
        octets = 0
    }

    /// All pieces, one after the other: for what has no kernel to gather them.
    public func joined() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(octets)
        for index in 0..<count {
            // The pieces are alive until they are written, says ``append(_:)``.
            let piece = unsafe pieces[index]
            unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(start: piece.base, count: piece.length))
        }
        return bytes
    }
}
