public import Clockwork
public import GatewayModel
import IPPackets
import IPsecCrypto
public import NetworkTypes

/// The inbound SAs, found by the index in their SPI, and the one `open` of the project.
///
/// It belongs to the thread that receives. SAs come and go between packets; a packet costs no allocation, no lock and no
/// reference count.
@safe
public struct InboundSADatabase: ~Copyable {
    // `places[i]` points into `owners[i]`, which keeps it alive: both are only ever changed together.
    private var places: UnsafeMutableBufferPointer<UnsafeMutablePointer<Decapsulator>?>
    private var owners: [InboundSA?]
    /// What was dropped, by reason.
    public let drops: DropCounters
    /// How many SAs there are.
    public private(set) var count = 0
    private var transports = 0
    private var expander = PayloadExpander()
    private var fragments = FragmentMemory()
    /// Whether opening may write before the packet: one of the SAs is in transport mode.
    public var hasTransport: Bool { transports > 0 }

    /// Room that transport mode needs before an ESP packet: the IP header that it is given again.
    public static let headroom = 40

    /// Starts empty.
    public init(drops: DropCounters = DropCounters()) {
        self.drops = drops
        owners = []
        unsafe places = .allocate(capacity: 0)
    }

    deinit { unsafe places.deallocate() }

    /// A packet that was opened.
    public struct Opened: Sendable {
        /// Where the inner packet is.
        public let inner: Range<Int>
        /// The Child SA that it came by.
        public let child: ChildSAID
        /// Whether it is the newest of its SA, and came from elsewhere than ``move(spi:remote:)`` or the installation
        /// said: the peer's address changed. Told once for every new address.
        public let hasMoved: Bool
        /// A limit of its volume that the SA has come to with this packet. Told once, the soft one now and then again.
        public let mark: VolumeMark?
        /// Whether it came compressed: then it lies in ``expanded``, until ``reclaim()``.
        public internal(set) var isExpanded = false
    }

    /// Where packets lie that came compressed. For the packet path, which confines its raw pointers.
    @unsafe public var expanded: UnsafeMutableRawBufferPointer { unsafe expander.memory }
    /// Whether ``reclaim()`` has to be called before one more packet that came compressed can be opened.
    @inline(__always) public var wantsReclaim: Bool { expander.isFull }
    /// Nobody needs the packets that came compressed any more.
    @inline(__always) public mutating func reclaim() { expander.reclaim() }

    /// Adds an SA. What was there with the same SPI is replaced.
    public mutating func install(_ association: InboundSA) throws(SAError) {
        let index = SPILayout.index(of: association.spi)
        if index < owners.count, let there = owners[index] {
            guard there.spi == association.spi else { throw .indexTaken(spi: association.spi) }
            count -= 1
            if there.isTransport { transports -= 1 }
        }
        grow(to: index + 1)
        owners[index] = association
        unsafe places[index] = association.decapsulator
        count += 1
        if association.isTransport { transports += 1 }
        if association.expands { expander.prepare() }
    }

    /// Takes an SA away; nil when there is none with this SPI.
    @discardableResult
    public mutating func remove(spi: UInt32) -> InboundSA? {
        let index = SPILayout.index(of: spi)
        guard index < owners.count, let association = owners[index], association.spi == spi else { return nil }
        unsafe places[index] = nil
        owners[index] = nil
        count -= 1
        if association.isTransport { transports -= 1 }
        return association
    }

    /// Whether an SA has exactly this SPI.
    public func has(spi: UInt32) -> Bool { unsafe place(of: spi) != nil }

    /// The peer of an SA is at `remote` now.
    public mutating func move(spi: UInt32, remote: Endpoint) {
        guard let found = unsafe place(of: spi) else { return }
        unsafe found.pointee.remote = remote
    }

    /// The steps of ``anticipate(spi:step:)``.
    public static let steps = 3

    /// A packet of this SPI is about to be opened: among many SAs, what it needs is fetched meanwhile, each step for all
    /// packets that came together before the next: where the SA is, itself, its keys.
    @inline(__always)
    public func anticipate(spi: UInt32, step: Int) {
        let index = SPILayout.index(of: spi)
        // The addresses are not read.
        guard index < owners.count, let base = unsafe places.baseAddress else { return }
        if step == 0 {
            unsafe PacketCipher.anticipate(UnsafeRawPointer(base + index))
            return
        }
        guard let found = unsafe places[index] else { return }
        if step == 1 {
            unsafe PacketCipher.anticipate(UnsafeRawPointer(found), octets: MemoryLayout<Decapsulator>.size)
        } else {
            unsafe found.pointee.anticipate()
        }
    }

    /// Opens the ESP packet at `packet`, which came from `remote`, in place. Whatever is dropped is counted. For SAs in
    /// tunnel mode, which do not mind where it came to.
    public mutating func open(
        _ buffer: inout MutableRawSpan, packet: Range<Int>, from remote: Endpoint, now: Instant
    ) throws(DropReason) -> Opened {
        let local = Endpoint(.unspecified(remote.address.family), 0)
        return try open(&buffer, packet: packet, PacketArrival(path: Path(local: local, remote: remote)), now: now)
    }

    /// Opens the ESP packet at `packet`, in place. Whatever is dropped is counted. In transport mode the octets before
    /// the packet, up to ``headroom``, are overwritten.
    public mutating func open(
        _ buffer: inout MutableRawSpan, packet: Range<Int>, _ arrival: PacketArrival, now: Instant
    ) throws(DropReason) -> Opened {
        do throws(DropReason) {
            guard packet.lowerBound >= 0, packet.upperBound <= buffer.byteCount, packet.count >= ESPHeader.length else {
                throw .malformedESP
            }
            let spi = buffer.bytes.uint32(at: packet.lowerBound)
            // The pointer is used before anything can change the table.
            guard let found = unsafe place(of: spi) else { throw .unknownSPI }
            let inner = unsafe try found.pointee.open(
                &buffer, packet: packet, arrival, by: &expander, &fragments, now: now)
            let expected = unsafe found.pointee.remote
            let hasMoved = inner.isNewest && expected != arrival.path.remote
            if hasMoved { unsafe found.pointee.remote = arrival.path.remote }
            return Opened(
                inner: inner.range, child: unsafe found.pointee.child, hasMoved: hasMoved,
                mark: unsafe found.pointee.takeVolumeMark(), isExpanded: inner.isExpanded)
        } catch {
            drops.count(error)
            throw error
        }
    }

    /// The place of exactly this SPI. The pointer is good until the table changes.
    private func place(of spi: UInt32) -> UnsafeMutablePointer<Decapsulator>? {
        let index = SPILayout.index(of: spi)
        guard index < owners.count, let found = unsafe places[index], unsafe found.pointee.spi == spi else {
            return nil
        }
        return unsafe found
    }

    /// Makes room for so many places, always doubling: at most the 2²⁰ that an index can name.
    private mutating func grow(to needed: Int) {
        guard needed > owners.count else { return }
        var capacity = max(64, owners.count)
        while capacity < needed { capacity *= 2 }
        let larger = UnsafeMutableBufferPointer<UnsafeMutablePointer<Decapsulator>?>.allocate(capacity: capacity)
        unsafe larger.initialize(repeating: nil)
        for index in owners.indices { unsafe larger[index] = places[index] }
        unsafe places.deallocate()
        unsafe places = larger
        owners.append(contentsOf: repeatElement(nil, count: capacity - owners.count))
    }
}
