public import Clockwork
import GatewayModel
import IPPackets
public import NetworkTypes

/// The inbound SAs of AH, found by the index in their SPI.
///
/// It belongs to the thread that receives. A packet costs no allocation and no lock.
public struct InboundAHDatabase: ~Copyable {
    private var associations: [InboundAH?] = []
    private var fragments = FragmentMemory()
    /// What was dropped, by reason.
    public let drops: DropCounters

    /// Starts empty.
    public init(drops: DropCounters = DropCounters()) { self.drops = drops }

    /// Adds an SA. What was there with the same SPI is replaced.
    public mutating func install(_ association: InboundAH) throws(SAError) {
        let index = SPILayout.index(of: association.spi)
        while associations.count <= index { associations.append(nil) }
        if let there = associations[index], there.spi != association.spi { throw .indexTaken(spi: association.spi) }
        associations[index] = association
    }

    /// Takes an SA away; nil when there is none with this SPI.
    @discardableResult
    public mutating func remove(spi: UInt32) -> InboundAH? {
        guard let found = association(spi) else { return nil }
        associations[SPILayout.index(of: spi)] = nil
        return found
    }

    /// The peer of an SA is at `remote` now.
    public mutating func move(spi: UInt32, remote: Endpoint) { association(spi)?.remote = remote.address }

    /// Checks the IP packet at `packet`, in which AH is next, in place. Whatever is dropped is counted.
    public mutating func open(
        _ buffer: inout MutableRawSpan, packet: Range<Int>, _ arrival: PacketArrival, now: Instant
    ) throws(DropReason) -> InboundSADatabase.Opened {
        do throws(DropReason) {
            guard packet.lowerBound >= 0, packet.upperBound <= buffer.byteCount else { throw .malformedESP }
            let chain: HeaderChain
            let header: AuthenticationHeader
            do throws(PacketFault) {
                let bytes = buffer.bytes.extracting(packet)
                chain = try HeaderChain(parsing: bytes, upToAH: true)
                header = try AuthenticationHeader(parsing: bytes.extracting(0..<chain.totalLength), at: chain.length)
            } catch { throw .malformedESP }
            guard chain.nextHeader == .ah, !chain.isFragment else { throw .malformedESP }
            guard let found = association(header.spi) else { throw .unknownSPI }
            let whole = packet.lowerBound..<(packet.lowerBound + chain.totalLength)
            let (inner, isNewest) = try found.open(
                &buffer, whole, chain, header, arrival, &fragments, now: now)
            let remote = arrival.path.remote.address
            let hasMoved = isNewest && found.remote != remote
            if hasMoved { found.remote = remote }
            return InboundSADatabase.Opened(
                inner: inner, child: found.child, hasMoved: hasMoved, mark: found.takeVolumeMark())
        } catch {
            drops.count(error)
            throw error
        }
    }

    /// Whether there is an SA with this SPI.
    public func has(spi: UInt32) -> Bool { association(spi) != nil }

    /// The SPI of the AH packet at `packet`; nil when there is none to be found.
    public static func spi(of packet: RawSpan) -> UInt32? {
        guard let chain = try? HeaderChain(parsing: packet, upToAH: true), chain.nextHeader == .ah else { return nil }
        return try? AuthenticationHeader(parsing: packet, at: chain.length).spi
    }

    private func association(_ spi: UInt32) -> InboundAH? {
        let index = SPILayout.index(of: spi)
        guard index < associations.count, let found = associations[index], found.spi == spi else { return nil }
        return found
    }
}

/// The outbound SAs of AH by slot; the slots are the ones that ``OutboundHandle`` counts for ESP as well.
///
/// It belongs to the thread that transmits. A packet costs no allocation and no lock.
public struct OutboundAHDatabase: ~Copyable {
    private var associations: [OutboundAH?] = []
    /// What was dropped, by reason.
    public let drops: DropCounters

    /// Starts empty.
    public init(drops: DropCounters = DropCounters()) { self.drops = drops }

    /// Adds an SA at a slot, in place of what was there. If that has the same SPI and key, the new one goes on with its
    /// sequence numbers.
    public mutating func install(_ association: OutboundAH, at slot: Int32) throws(SAError) {
        guard slot >= 0, Int(slot) < OutboundSADatabase.capacity else { throw .tableFull }
        while associations.count <= Int(slot) { associations.append(nil) }
        if let there = associations[Int(slot)] { association.proceed(from: there) }
        associations[Int(slot)] = association
    }

    /// Takes the SA at a slot away, if it is still the one that the handle means.
    @discardableResult
    public mutating func remove(_ handle: OutboundHandle) -> OutboundAH? {
        guard let found = association(of: handle) else { return nil }
        associations[Int(handle.slot)] = nil
        return found
    }

    /// The SA that `handle` means; nil when it is gone, or is one of ESP's.
    public func association(of handle: OutboundHandle) -> OutboundAH? {
        let slot = Int(handle.slot)
        guard slot >= 0, slot < associations.count, let found = associations[slot], found.serial == handle.serial
        else { return nil }
        return found
    }

    /// Makes a whole AH packet around the inner packet at `inner`, in place; `buffer` needs
    /// ``OutboundAH/headroom(for:along:)`` octets before it. Whatever is dropped is counted.
    public mutating func seal(
        _ buffer: inout MutableRawSpan, inner: Range<Int>, by association: OutboundAH, along path: Path,
        _ trafficClass: TrafficClass, now: Instant
    ) throws(DropReason) -> OutboundSADatabase.Sealed {
        do throws(DropReason) {
            let packet = try association.seal(&buffer, inner: inner, along: path, trafficClass, now: now)
            return OutboundSADatabase.Sealed(
                packet: packet, isRunningOut: association.takeExhaustionWarning(),
                mark: association.takeVolumeMark())
        } catch {
            drops.count(error)
            throw error
        }
    }
}
