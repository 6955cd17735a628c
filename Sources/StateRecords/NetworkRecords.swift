public import IPsecCrypto
public import NetworkTypes

// How addresses, selectors and algorithms are handed over.

extension IPAddress: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) { writer.octets(bytes) }
    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        guard let address = IPAddress(bytes: try reader.octets("address")) else { throw .badValue("address") }
        self = address
    }
}

extension Endpoint: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.put(address)
        writer.uint16(port)
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let address = try reader.value(IPAddress.self)
        self.init(address, try reader.uint16("port"))
    }
}

extension Path: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.put(local)
        writer.put(remote)
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let local = try reader.value(Endpoint.self)
        self.init(local: local, remote: try reader.value(Endpoint.self))
    }
}

extension IPPrefix: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.put(address)
        writer.uint8(UInt8(clamping: length))
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let address = try reader.value(IPAddress.self)
        guard let prefix = IPPrefix(address, length: Int(try reader.uint8("prefix length"))) else {
            throw .badValue("prefix")
        }
        self = prefix
    }
}

extension AddressRange: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.put(lower)
        writer.put(upper)
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let lower = try reader.value(IPAddress.self)
        guard let range = AddressRange(lower, try reader.value(IPAddress.self)) else { throw .badValue("range") }
        self = range
    }
}

extension TrafficSelector: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.put(addresses)
        writer.uint8(ipProtocol.rawValue)
        switch ports {
        case .range(let range):
            writer.bool(false)
            writer.uint16(range.lowerBound)
            writer.uint16(range.upperBound)
        case .opaque: writer.bool(true)
        }
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let addresses = try reader.value(AddressRange.self)
        let ipProtocol = IPProtocolNumber(rawValue: try reader.uint8("selector protocol"))
        guard try !reader.bool("selector ports") else {
            self.init(addresses, ipProtocol: ipProtocol, ports: .opaque)
            return
        }
        let (lower, upper) = (try reader.uint16("first port"), try reader.uint16("last port"))
        guard lower <= upper else { throw .badValue("selector ports") }
        self.init(addresses, ipProtocol: ipProtocol, ports: .range(lower...upper))
    }
}

extension Host: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) { writer.text(description) }
    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        guard let host = Host(try reader.text("host")) else { throw .badValue("host") }
        self = host
    }
}

extension Transform: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.uint8(type.rawValue)
        writer.uint16(id)
        writer.optional(keyBits) { writer.uint16($0) }
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let type = TransformType(rawValue: try reader.uint8("transform type"))
        let id = try reader.uint16("transform")
        let bits = try reader.optional("key length") { reader throws(RecordError) in
            try reader.uint16("key length")
        }
        self.init(type, id, keyBits: bits)
    }
}

extension Proposal: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.uint8(securityProtocol.rawValue)
        writer.list(transforms)
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let securityProtocol = SecurityProtocol(rawValue: try reader.uint8("protocol"))
        self.init(securityProtocol, try reader.list("transforms", of: Transform.self))
    }
}

extension PacketKeys: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.secret(encryption)
        writer.secret(integrity)
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let encryption = try reader.secret("encryption key")
        self.init(encryption: encryption, integrity: try reader.secret("integrity key"))
    }
}
