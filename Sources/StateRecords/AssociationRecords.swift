public import GatewayModel
import IPsecCrypto
import NetworkTypes

// How SAs of ESP and AH are handed over, keys included.

extension SACounters: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        for value in [packets, bytes, replays, forgeries] { writer.uint64(value) }
        writer.optional(lastUse) { writer.instant($0) }
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        self.init()
        packets = try reader.uint64("packets")
        bytes = try reader.uint64("octets")
        replays = try reader.uint64("replays")
        forgeries = try reader.uint64("forgeries")
        lastUse = try reader.optional("last use") { reader throws(RecordError) in try reader.instant("last use") }
    }
}

extension VolumeLimits: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        for limit in [softBytes, hardBytes, softPackets, hardPackets] { writer.optional(limit) { writer.uint64($0) } }
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        self.init()
        softBytes = try Self.limit(&reader)
        hardBytes = try Self.limit(&reader)
        softPackets = try Self.limit(&reader)
        hardPackets = try Self.limit(&reader)
    }
    private static func limit(_ reader: inout RecordReader) throws(RecordError) -> UInt64? {
        try reader.optional("limit") { reader throws(RecordError) in try reader.uint64("limit") }
    }
}

extension TunnelBehaviour: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        switch segmentSize {
        case .automatic: writer.uint8(0)
        case .unlimited: writer.uint8(1)
        case .octets(let count):
            writer.uint8(2)
            writer.uint32(UInt32(clamping: count))
        }
        writer.optional(mtu) { writer.uint32(UInt32(clamping: $0)) }
        writer.text(fragmentation.rawValue)
        writer.bool(copiesDF)
        writer.bool(copiesECN)
        writer.uint8(copiesDSCP.rawValue)
        switch padding {
        case .none: writer.uint8(0)
        case .path: writer.uint8(1)
        case .octets(let count):
            writer.uint8(2)
            writer.uint32(UInt32(clamping: count))
        }
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        self.init()
        switch try reader.uint8("segment size") {
        case 0: segmentSize = .automatic
        case 1: segmentSize = .unlimited
        case 2: segmentSize = .octets(try Self.size(&reader))
        default: throw .badValue("segment size")
        }
        mtu = try reader.optional("MTU") { reader throws(RecordError) in try Self.size(&reader) }
        guard let fragmentation = Fragmentation(rawValue: try reader.text("fragmentation")) else {
            throw .badValue("fragmentation")
        }
        self.fragmentation = fragmentation
        copiesDF = try reader.bool("DF")
        copiesECN = try reader.bool("ECN")
        copiesDSCP = Directions(rawValue: try reader.uint8("DSCP"))
        switch try reader.uint8("padding") {
        case 0: padding = .none
        case 1: padding = .path
        case 2: padding = .octets(try Self.size(&reader))
        default: throw .badValue("padding")
        }
    }
    /// No packet is longer than an IP packet may be.
    private static func size(_ reader: inout RecordReader) throws(RecordError) -> Int {
        let size = try reader.uint32("size")
        guard size <= 65_535 else { throw .badValue("size") }
        return Int(size)
    }
}

extension SecurityAssociation: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.bool(direction == .inbound)
        writer.uint8(securityProtocol.rawValue)
        writer.uint32(spi)
        writer.put(child)
        writer.put(mode)
        writer.put(encryption)
        writer.optional(integrity)
        writer.bool(usesExtendedSequenceNumbers)
        writer.put(PacketKeys(encryption: encryptionKey, integrity: integrityKey))
        writer.put(path)
        writer.bool(encapsulation == .udp)
        writer.uint32(UInt32(clamping: replayWindow))
        writer.list(localSelectors)
        writer.list(remoteSelectors)
        writer.put(tunnel)
        writer.put(limits)
        writer.uint32(policyPriority)
        writer.optional(interface) { writer.text($0) }
        writer.optional(compressionIndex) { writer.uint16($0) }
        writer.optional(resource) { writer.uint32(UInt32(clamping: $0)) }
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let isInbound = try reader.bool("direction")
        let securityProtocol = SecurityProtocol(rawValue: try reader.uint8("protocol"))
        guard securityProtocol == .esp || securityProtocol == .ah else { throw .badValue("protocol") }
        let spi = try reader.uint32("SPI")
        let child = try reader.value(ChildSAID.self)
        let mode = try reader.value(ChildTemplate.Mode.self)
        let encryption = try reader.value(Transform.self)
        let integrity = try reader.optional("integrity", Transform.self)
        let isExtended = try reader.bool("extended sequence numbers")
        let keys = try reader.value(PacketKeys.self)
        let path = try reader.value(Path.self)
        let isInUDP = try reader.bool("encapsulation")
        let window = try reader.uint32("replay window")
        let local = try reader.list("local selectors", of: TrafficSelector.self)
        let remote = try reader.list("remote selectors", of: TrafficSelector.self)
        self.init(
            direction: isInbound ? .inbound : .outbound, spi: spi, child: child, mode: mode, encryption: encryption,
            integrity: integrity, usesExtendedSequenceNumbers: isExtended, encryptionKey: keys.encryption,
            integrityKey: keys.integrity, path: path, encapsulation: isInUDP ? .udp : .none,
            replayWindow: Int(window), localSelectors: local, remoteSelectors: remote)
        self.securityProtocol = securityProtocol
        tunnel = try reader.value()
        limits = try reader.value()
        policyPriority = try reader.uint32("priority")
        interface = try reader.optional("device") { reader throws(RecordError) in try reader.text("device") }
        compressionIndex = try reader.optional("CPI") { reader throws(RecordError) in try reader.uint16("CPI") }
        resource = try reader.optional("worker") { reader throws(RecordError) in
            let worker = try reader.uint32("worker")
            guard worker < 65_536 else { throw .badValue("worker") }
            return Int(worker)
        }
    }
}
