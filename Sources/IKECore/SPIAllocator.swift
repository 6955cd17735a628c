public import Clockwork
public import GatewayModel

/// Hands out the SPIs of inbound Child SAs as ``SPILayout`` makes them.
///
/// It owns the table of indices. An index that is given back is used again as late as possible, so that a late packet of
/// an old SA does not meet a new one.
public struct SPIAllocator: Sendable {
    private var used: Set<Int> = []
    private var freed: [Int] = []
    private var firstFreed = 0
    /// The first index that was never given out.
    public private(set) var next: Int
    private let capacity: Int

    /// Indices from 1 to below `capacity`.
    public init(capacity: Int = SPILayout.capacity) {
        self.capacity = min(capacity, SPILayout.capacity)
        next = 1
    }

    /// Another allocator has given out the indices below `next`: those that are not taken (``take(_:)``) come again when
    /// all others have been used.
    public init(from next: Int) {
        capacity = SPILayout.capacity
        self.next = min(max(next, 1), capacity)
    }

    /// This SPI is in use; false when it was already.
    public mutating func take(_ spi: UInt32) -> Bool {
        let index = SPILayout.index(of: spi)
        next = max(next, min(index + 1, capacity))
        return used.insert(index).inserted
    }

    /// Everything that is in use was told: the other indices below ``next`` are free.
    public mutating func settle() {
        freed = (1..<max(next, 1)).filter { !used.contains($0) }
        firstFreed = 0
    }

    /// SPIs in use.
    public var count: Int { used.count }

    /// A new SPI; nil when all indices are in use.
    public mutating func allocate(_ entropy: inout some Entropy) -> UInt32? {
        let index: Int
        if next < capacity {
            index = next
            next += 1
        } else if firstFreed < freed.count {
            index = freed[firstFreed]
            firstFreed += 1
            if firstFreed > 1024, firstFreed * 2 > freed.count {
                freed.removeFirst(firstFreed)
                firstFreed = 0
            }
        } else {
            return nil
        }
        used.insert(index)
        return SPILayout.spi(index: index, chance: entropy.uint32())
    }

    /// Gives an SPI back; one that is not in use is ignored.
    public mutating func release(_ spi: UInt32) {
        let index = SPILayout.index(of: spi)
        guard used.remove(index) != nil else { return }
        freed.append(index)
    }
}
