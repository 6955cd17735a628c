internal import CLinux
public import NetworkTypes
internal import Synchronization

/// What the kernel may leave to us when it hands packets over with a virtio header (TUN_F_…).
public struct TunOffload: OptionSet, Hashable, Sendable {
    /// The kernel's bits.
    public let rawValue: UInt32

    /// The kernel's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Checksums may be missing.
    public static let checksum = TunOffload(rawValue: 0x01)
    /// TCP over IPv4 may come in trains.
    public static let tcp4 = TunOffload(rawValue: 0x02)
    /// TCP over IPv6 may come in trains.
    public static let tcp6 = TunOffload(rawValue: 0x04)
    /// Trains may carry ECN's CWR.
    public static let tcpECN = TunOffload(rawValue: 0x08)
    /// UDP over IPv4 may come in trains (Linux 6.2).
    public static let udp4 = TunOffload(rawValue: 0x20)
    /// UDP over IPv6 may come in trains (Linux 6.2).
    public static let udp6 = TunOffload(rawValue: 0x40)
}

/// A TUN device, or one queue of one: whole IP packets, without a link layer.
///
/// The device goes when its last queue closes, with its addresses and routes. The kernel allows any thread to read and
/// write. Nothing here waits. What an operator would do with `ip link` is done by a ``RouteSocket`` of the same
/// namespace.
public final class TunDevice: Sendable {
    /// The open queue, for a poller.
    public let descriptor: Descriptor
    /// The device's name.
    public let name: String
    /// Whether each packet has a 10-octet virtio header (host byte order) in front.
    public let hasVirtioHeader: Bool
    /// Octets of the virtio header in front of each packet: 10 or 0.
    public var headerSize: Int { hasVirtioHeader ? 10 : 0 }
    private let offloads = Atomic<UInt32>(0)
    /// Whether this kernel cuts trains of UDP that it is given: it does when it would give us some.
    public var takesDatagramTrains: Bool {
        TunOffload(rawValue: offloads.load(ordering: .relaxed)).isSuperset(of: [.udp4, .udp6])
    }

    /// Makes a device in the calling thread's network namespace, or joins the one that has this name. `nameTemplate`
    /// (15 octets at most) may hold one `%d`, which the kernel replaces by the first free number.
    public init(
        nameTemplate: String = "martlet%d", virtioHeader: Bool = false, multiQueue: Bool = false
    ) throws(SystemError) {
        try checkedText(nameTemplate, "TUNSETIFF")
        guard nameTemplate.utf8.count < 16 else {
            throw SystemError(
                call: "TUNSETIFF", errno: .invalidArgument, context: "\(nameTemplate): a name has 15 octets at most")
        }
        var bytes = Array(nameTemplate.utf8).map { CChar(bitPattern: $0) }
        bytes += [CChar](repeating: 0, count: 16 - bytes.count)
        // Sixteen octets, as the shim asks for.
        let result = unsafe bytes.withUnsafeMutableBufferPointer { bytes in
            unsafe martlet_tun_open(bytes.baseAddress, virtioHeader, multiQueue)
        }
        // Only opening the device file fails in these ways.
        let opening = [ErrorNumber.noSuchEntry, .accessDenied].contains(ErrorNumber(rawValue: -result))
        descriptor = Descriptor(
            owning: try checked(
                result, opening ? "open /dev/net/tun" : "TUNSETIFF", opening ? "" : "device \(nameTemplate)"))
        name = String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        hasVirtioHeader = virtioHeader
    }

    /// A queue that another process has opened, and handed over by its number.
    public init(adopting descriptor: Descriptor, name: String, hasVirtioHeader: Bool, offload: TunOffload) {
        self.descriptor = descriptor
        self.name = name
        self.hasVirtioHeader = hasVirtioHeader
        offloads.store(offload.rawValue, ordering: .relaxed)
    }

    /// What the kernel leaves to us.
    public var offload: TunOffload { TunOffload(rawValue: offloads.load(ordering: .relaxed)) }

    /// Another queue of the same device, which must have been made with `multiQueue`.
    public func openQueue() throws(SystemError) -> TunDevice {
        let queue = try TunDevice(nameTemplate: name, virtioHeader: hasVirtioHeader, multiQueue: true)
        queue.offloads.store(offloads.load(ordering: .relaxed), ordering: .relaxed)
        return queue
    }

    /// Says what the kernel may leave to us. Needs the virtio header. ``SystemError`` EINVAL: this kernel knows less.
    public func setOffload(_ offload: TunOffload) throws(SystemError) {
        _ = try checked(martlet_tun_set_offload(descriptor.number, offload.rawValue), "TUNSETOFFLOAD", name)
        offloads.store(offload.rawValue, ordering: .relaxed)
    }

    /// Whether the device outlives its queues. It does not, unless somebody asks for it.
    public func setPersistent(_ on: Bool) throws(SystemError) {
        _ = try checked(martlet_tun_set_persistent(descriptor.number, on), "TUNSETPERSIST", name)
    }

    /// Reads one packet, with its virtio header if there is one; nil when there is none. The kernel cuts a packet that
    /// does not fit without a word: have room for the MTU, or with offloaded trains for 65,535 octets, and the header.
    public func read(into buffer: inout MutableRawSpan) throws(SystemError) -> Int? {
        // The span is writable memory of exactly the length that goes with it.
        let result = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe martlet_read(descriptor.number, bytes.baseAddress, bytes.count)
        }
        return try checkedUnlessBlocked(result, "read", name).map { Int($0) }
    }

    /// Reads one packet over the start of `buffer`.
    public func read(into buffer: inout [UInt8]) throws(SystemError) -> Int? {
        var span = buffer.mutableSpan
        // Octets have no padding: a span of them is a raw span.
        var bytes = unsafe span.mutableBytes
        return try read(into: &bytes)
    }

    /// Reads one packet into memory that the caller owns.
    @unsafe
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int? {
        let result = unsafe martlet_read(descriptor.number, buffer.baseAddress, buffer.count)
        return try checkedUnlessBlocked(result, "read", name).map { Int($0) }
    }

    /// Writes one packet, with its virtio header if the device has one; false when the device has no room. EINVAL: the
    /// kernel does not take this for a packet; EIO: the device is not up.
    public func write(_ packet: RawSpan) throws(SystemError) -> Bool {
        // The span is readable memory of exactly the length that goes with it.
        let result = unsafe packet.withUnsafeBytes { bytes in
            unsafe martlet_write(descriptor.number, bytes.baseAddress, bytes.count)
        }
        return try checkedUnlessBlocked(result, "write", name) != nil
    }

    /// Writes one packet.
    public func write(_ packet: [UInt8]) throws(SystemError) -> Bool {
        // Octets have no padding: a span of them is a raw span.
        try write(unsafe packet.span.bytes)
    }

    /// Writes the pieces as one packet; false when the device has no room.
    public func write(_ pieces: GatherList) throws(SystemError) -> Bool {
        // The list's owner keeps its pieces alive.
        let result = unsafe martlet_write_pieces(descriptor.number, pieces.pieces, Int32(pieces.count))
        return try checkedUnlessBlocked(result, "writev", name) != nil
    }
}

extension TunDevice {
    /// The device's number.
    public func index(using route: RouteSocket) throws(SystemError) -> UInt32 { try route.link(named: name).index }

    /// The largest packet, 68 to 65,535 octets (1,280 and more for IPv6).
    public func setMTU(_ octets: Int, using route: RouteSocket) throws(SystemError) {
        try route.change(index(using: route), LinkChange(mtu: octets))
    }

    /// Switches the device on.
    public func bringUp(using route: RouteSocket) throws(SystemError) {
        try route.change(index(using: route), LinkChange(up: true))
    }

    /// Gives the device an address; an address that it has already is no error.
    public func addAddress(
        _ address: IPAddress, prefixLength: Int, using route: RouteSocket
    ) throws(SystemError) {
        try route.add(
            InterfaceAddress(
                interface: index(using: route), address: address, prefixLength: prefixLength,
                skipsDuplicateDetection: address.family == .v6),
            replace: true)
    }
}
