public import GatewayModel
import NetworkTypes

// How the nouns of a gateway are handed over.

extension Identity: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.uint8(kind.rawValue)
        writer.octets(data)
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let kind = Kind(rawValue: try reader.uint8("identity type"))
        self.init(kind, try reader.octets("identity"))
    }
}

extension IKESAID: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) { writer.uint32(rawValue) }
    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        self.init(rawValue: try reader.uint32("IKE SA number"))
    }
}

extension ChildSAID: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) { writer.uint32(rawValue) }
    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        self.init(rawValue: try reader.uint32("Child SA number"))
    }
}

extension PeerCertificate: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.list(chain) { writer.text($0) }
        writer.text(serial)
        writer.optional(ends) { writer.uint64(UInt64(bitPattern: $0)) }
        writer.text(key)
        writer.text(signature)
        switch revocation {
        case .notChecked: writer.uint8(0)
        case .good(let source):
            writer.uint8(1)
            writer.text(source)
        case .unknown(let reason):
            writer.uint8(2)
            writer.text(reason)
        }
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let chain = try reader.list("chain") { reader throws(RecordError) in try reader.text("subject") }
        let serial = try reader.text("serial")
        let ends = try reader.optional("end") { reader throws(RecordError) in
            Int64(bitPattern: try reader.uint64("end"))
        }
        let key = try reader.text("key")
        let signature = try reader.text("signature")
        let revocation: Revocation
        switch try reader.uint8("revocation") {
        case 0: revocation = .notChecked
        case 1: revocation = .good(source: try reader.text("revocation"))
        case 2: revocation = .unknown(reason: try reader.text("revocation"))
        default: throw .badValue("revocation")
        }
        self.init(
            chain: chain, serial: serial, ends: ends, key: key, signature: signature, revocation: revocation)
    }
}

extension HostAttribute: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.uint16(type)
        writer.octets(value)
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let type = try reader.uint16("attribute")
        self.init(type: type, value: try reader.octets("attribute"))
    }
}

extension Lease: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.put(identity)
        writer.list(loans) { loan in
            writer.text(loan.pool)
            writer.put(loan.address)
        }
        writer.list(attributes)
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let identity = try reader.value(Identity.self)
        let loans = try reader.list("loans") { reader throws(RecordError) in
            let pool = try reader.text("pool")
            return Loan(pool: pool, address: try reader.value())
        }
        self.init(identity: identity, loans: loans, attributes: try reader.list("attributes"))
    }
}

extension HostSettings: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.list(addresses)
        writer.optional(netmask)
        writer.list(nameServers)
        writer.list(netBIOSServers)
        writer.list(dhcpServers)
        writer.list(subnets)
        writer.list(domains) { domain in
            writer.text(domain.name)
            writer.list(domain.trustAnchors) { writer.octets($0) }
        }
        writer.list(prefixes)
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        self.init()
        addresses = try reader.list("addresses")
        netmask = try reader.optional("netmask")
        nameServers = try reader.list("name servers")
        netBIOSServers = try reader.list("NetBIOS servers")
        dhcpServers = try reader.list("DHCP servers")
        subnets = try reader.list("subnets")
        domains = try reader.list("domains") { reader throws(RecordError) in
            let name = try reader.text("domain")
            let anchors = try reader.list("trust anchors") { reader throws(RecordError) in
                try reader.octets("trust anchor")
            }
            return Domain(name: name, trustAnchors: anchors)
        }
        prefixes = try reader.list("prefixes")
    }
}

extension StandingPolicy: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.text(connection)
        writer.text(child)
        writer.text(action.rawValue)
        writer.list(local)
        writer.list(remote)
        writer.uint32(priority)
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let connection = try reader.text("connection")
        let child = try reader.text("child")
        guard let action = Action(rawValue: try reader.text("action")) else { throw .badValue("action") }
        let local = try reader.list("local selectors", of: TrafficSelector.self)
        let remote = try reader.list("remote selectors", of: TrafficSelector.self)
        self.init(
            connection: connection, child: child, action: action, local: local, remote: remote,
            priority: try reader.uint32("priority"))
    }
}

extension ChildTemplate.Mode: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) { writer.text(rawValue) }
    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        guard let mode = Self(rawValue: try reader.text("mode")) else { throw .badValue("mode") }
        self = mode
    }
}
