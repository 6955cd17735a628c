public import LinuxSystem

/// Where inner packets come from and go to: a TUN device, or something in the process that plays hosts.
///
/// One thread reads and another one writes; nothing here waits.
public protocol PacketPort: AnyObject, Sendable {
    /// Readable when a packet waits.
    var descriptor: Descriptor { get }
    /// Octets in front of every packet that say how it is to be cut or joined (see `VirtioHeader`); 0 without.
    var headerSize: Int { get }
    /// Whether it takes UDP datagrams that were joined, besides TCP segments.
    var takesDatagramTrains: Bool { get }
    /// Reads one packet; nil when there is none.
    func read(into buffer: inout MutableRawSpan) throws(SystemError) -> Int?
    /// Writes one packet; false when there is no room for it.
    func write(_ packet: RawSpan) throws(SystemError) -> Bool
    /// Writes the pieces as one packet; false when there is no room for it.
    func write(_ pieces: GatherList) throws(SystemError) -> Bool
}

extension PacketPort {
    /// TCP alone.
    public var takesDatagramTrains: Bool { false }
}

extension TunDevice: PacketPort {}
