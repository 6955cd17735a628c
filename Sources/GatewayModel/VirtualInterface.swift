public import NetworkTypes

/// The device that a route-based child has for itself: what is routed into it goes to this tunnel, if the selectors allow
/// it, and what comes out of the tunnel comes out of it.
public struct VirtualInterface: Hashable, Sendable {
    /// The device's name. One `%d`, or `%0Nd` for N digits, stands for the first free number.
    public var nameTemplate: String
    /// Its addresses, each with the length of the block that its neighbours share.
    public var addresses: [Address]
    /// Its largest packet in octets; nil for the plane's.
    public var mtu: Int?
    /// The network namespace that it is put into; nil for the gateway's own.
    public var namespace: String?

    /// An address of a device.
    public struct Address: Hashable, Sendable {
        /// The address.
        public var address: IPAddress
        /// How many bits of it the device's neighbours share.
        public var prefixLength: Int

        /// An address of a device.
        public init(_ address: IPAddress, prefixLength: Int) {
            self.address = address
            self.prefixLength = prefixLength
        }
    }

    /// A device without addresses.
    public init(nameTemplate: String) {
        self.nameTemplate = nameTemplate
        addresses = []
    }

    /// The name that a connection's child gives its device in commands to a plane.
    public static func key(connection: String, child: String) -> String { "\(connection)/\(child)" }

    /// The device's name for a number; nil when the template makes none that a kernel takes: 1 to 15 octets, without
    /// spaces and slashes, with one number at most.
    public func name(_ number: Int) -> String? {
        var name = ""
        var rest = nameTemplate[...]
        var hasNumber = false
        while let percent = rest.firstIndex(of: "%") {
            name += rest[..<percent]
            rest = rest[rest.index(after: percent)...]
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest[digits.endIndex...]
            guard rest.first == "d", !hasNumber, digits.isEmpty || digits.first == "0", digits.count <= 2 else {
                return nil
            }
            rest = rest.dropFirst()
            hasNumber = true
            let text = String(number)
            let width = Int(digits) ?? 0
            name += String(repeating: "0", count: max(0, width - text.count)) + text
        }
        name += rest
        guard !name.isEmpty, name.utf8.count < 16, name != ".", name != "..",
            name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") })
        else { return nil }
        return name
    }

    /// Whether the name has a number in it, so that several devices can be made from the template.
    public var isNumbered: Bool { nameTemplate.contains("%") }
}
