public import NetworkTypes
internal import WireFormat

/// An address of a link.
public struct InterfaceAddress: Hashable, Sendable {
    /// The link's number.
    public var interface: UInt32
    /// The address.
    public var address: IPAddress
    /// How many bits of it the link's neighbours share.
    public var prefixLength: Int
    /// The only neighbour, on a point-to-point link.
    public var peer: IPAddress?
    /// IPv6: use it at once, without asking whether somebody else has it.
    public var skipsDuplicateDetection: Bool
    /// Make no route to the neighbours.
    public var withoutRoute: Bool
    /// IPv6: not usable yet (read only).
    public var isTentative = false

    /// An address of link `interface`.
    public init(
        interface: UInt32, address: IPAddress, prefixLength: Int, peer: IPAddress? = nil,
        skipsDuplicateDetection: Bool = false, withoutRoute: Bool = false
    ) {
        self.interface = interface
        self.address = address
        self.prefixLength = prefixLength
        self.peer = peer
        self.skipsDuplicateDetection = skipsDuplicateDetection
        self.withoutRoute = withoutRoute
    }

    /// Nil for a family that is not IP.
    init?(parsing message: NetlinkMessage) throws(WireError) {
        var reader = NetlinkReader(message.payload)
        let family = IPAddress.Family(kernelNumber: try reader.uint8("address family"))
        prefixLength = Int(try reader.uint8("address prefix length"))
        let low = UInt32(try reader.uint8("address flags"))
        try reader.skip(1, "address scope")
        interface = try reader.uint32("address link")
        let attributes = try reader.attributes()
        // IFA_LOCAL is ours; IFA_ADDRESS is the other end's where there is one.
        guard family != nil, let address = attributes.address(2) ?? attributes.address(1) else { return nil }
        let flags = attributes.uint32(8) ?? low
        self.address = address
        peer = attributes.address(1).flatMap { $0 == address ? nil : $0 }
        skipsDuplicateDetection = flags & 0x02 != 0
        withoutRoute = flags & 0x200 != 0
        isTentative = flags & 0x40 != 0
    }

    /// struct ifaddrmsg and what follows: RTM_NEWADDR (20) or RTM_DELADDR (21).
    func request(_ type: UInt16, _ flags: NetlinkFlags) -> NetlinkRequest {
        NetlinkRequest(type, flags) { body in
            body.uint8(address.family.kernelNumber)
            body.uint8(UInt8(clamping: prefixLength))
            body.uint8(0)
            body.uint8(address.isLinkLocal ? 253 : 0)
            body.uint32(interface)
            body.attribute(1, peer ?? address)
            body.attribute(2, address)
            let options: UInt32 = (skipsDuplicateDetection ? 0x02 : 0) | (withoutRoute ? 0x200 : 0)
            if options != 0, type == 20 { body.attribute(8, options) }
        }
    }

    var subject: String { "\(address)/\(prefixLength) on link \(interface)" }
}

extension RouteSocket {
    /// The addresses of link `interface`, or of all links.
    public func addresses(of interface: UInt32? = nil) throws(SystemError) -> [InterfaceAddress] {
        let request = NetlinkRequest(22) { body in
            body.zeros(4)
            body.uint32(interface ?? 0)
        }
        // Kernels that cannot choose by link give all.
        return try parseAll(
            netlink.list(request, call: "RTM_GETADDR"), type: 20, InterfaceAddress.init(parsing:)
        ).compactMap { $0 }.filter { interface == nil || $0.interface == interface }
    }

    /// Gives a link an address. With `replace` it is no error that the link has it.
    public func add(_ address: InterfaceAddress, replace: Bool = false) throws(SystemError) {
        try netlink.perform(
            address.request(20, replace ? [.create, .replace] : [.create, .exclusive]), call: "RTM_NEWADDR",
            context: address.subject)
    }

    /// Takes an address from a link.
    @discardableResult
    public func delete(_ address: InterfaceAddress) throws(SystemError) -> Removal {
        try remove(
            address.request(21, []), call: "RTM_DELADDR", context: address.subject, absent: [.addressNotAvailable])
    }
}
