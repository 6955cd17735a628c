public import IPsecCrypto
public import NetworkTypes
public import WireFormat

/// One direction of a Child SA, with all that a data plane needs to carry its packets (RFC 4301 §4.4.2).
public struct SecurityAssociation: Sendable {
    /// Which way its packets go.
    public enum Direction: String, Hashable, Sendable {
        case inbound
        case outbound
    }

    /// How ESP travels.
    public enum Encapsulation: Hashable, Sendable {
        /// As IP protocol 50.
        case none
        /// In UDP datagrams (RFC 3948).
        case udp
    }

    /// Which way its packets go.
    public var direction: Direction
    /// ESP or AH. AH has no encryption: its transform is number 0 and its key empty.
    public var securityProtocol: SecurityProtocol
    /// The number in its packets. An inbound one was chosen by us and follows ``SPILayout``.
    public var spi: UInt32
    /// The Child SA that it belongs to.
    public var child: ChildSAID
    /// Whole packets in a tunnel, or payloads between the two hosts.
    public var mode: ChildTemplate.Mode
    /// The cipher.
    public var encryption: Transform
    /// The integrity algorithm; nil with a cipher that has its own.
    public var integrity: Transform?
    /// Whether sequence numbers have 64 bits.
    public var usesExtendedSequenceNumbers: Bool
    /// The cipher's key, its salt at the end.
    public var encryptionKey: SecretBytes
    /// The integrity key; empty with a cipher that has its own.
    public var integrityKey: SecretBytes
    /// The outer addresses, and the ports when in UDP.
    public var path: Path
    /// How ESP travels.
    public var encapsulation: Encapsulation
    /// Packets that may arrive out of order; 0 switches the replay protection off. Inbound only.
    public var replayWindow: Int
    /// Packets on our side.
    public var localSelectors: [TrafficSelector]
    /// Packets on the peer's side.
    public var remoteSelectors: [TrafficSelector]
    /// How its packets are fitted to the path.
    public var tunnel: TunnelBehaviour
    /// How much it may carry.
    public var limits: VolumeLimits
    /// What comes first where policies overlap: the lower; 0 for a Child SA's usual place. Outbound only.
    public var policyPriority: UInt32
    /// The device that its inner packets come from and go to (``VirtualInterface/key(connection:child:)``); nil for the
    /// shared one.
    public var interface: String?
    /// The CPI under which its payloads are compressed by DEFLATE, where that makes them shorter (RFC 3173): the peer's
    /// for what we send, ours for what we receive; nil when they never are. With ESP only.
    public var compressionIndex: UInt16?
    /// The worker whose own it is (RFC 9611), counted from 1; nil for one that serves all of them.
    public var resource: Int?

    /// One direction of a Child SA.
    public init(
        direction: Direction, spi: UInt32, child: ChildSAID, mode: ChildTemplate.Mode, encryption: Transform,
        integrity: Transform?, usesExtendedSequenceNumbers: Bool, encryptionKey: SecretBytes,
        integrityKey: SecretBytes, path: Path, encapsulation: Encapsulation, replayWindow: Int,
        localSelectors: [TrafficSelector], remoteSelectors: [TrafficSelector]
    ) {
        self.direction = direction
        securityProtocol = .esp
        self.spi = spi
        self.child = child
        self.mode = mode
        self.encryption = encryption
        self.integrity = integrity
        self.usesExtendedSequenceNumbers = usesExtendedSequenceNumbers
        self.encryptionKey = encryptionKey
        self.integrityKey = integrityKey
        self.path = path
        self.encapsulation = encapsulation
        self.replayWindow = replayWindow
        self.localSelectors = localSelectors
        self.remoteSelectors = remoteSelectors
        tunnel = TunnelBehaviour()
        limits = VolumeLimits()
        policyPriority = 0
        interface = nil
        compressionIndex = nil
        resource = nil
    }
}

/// The CPIs of a Child SA whose payloads are compressed.
public struct CompressionIndices: Hashable, Sendable {
    /// Ours, in the packets that we receive.
    public var inbound: UInt16
    /// The peer's, in the packets that we send.
    public var outbound: UInt16

    /// The two.
    public init(inbound: UInt16, outbound: UInt16) {
        self.inbound = inbound
        self.outbound = outbound
    }
}

/// The number of a Child SA within one gateway: small, counted up, never reused while the process lives.
public struct ChildSAID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: UInt32
    /// The Child SA with this number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// By number.
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    /// The number.
    public var description: String { String(rawValue) }
}

/// The number of an IKE SA within one gateway: small, counted up, never reused while the process lives.
public struct IKESAID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: UInt32
    /// The IKE SA with this number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// By number.
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    /// The number.
    public var description: String { String(rawValue) }
}

/// How our inbound SPIs are made: a table index in the low bits, chance in the high ones.
///
/// A data plane finds the SA by index alone, so that nothing that a peer chooses is ever hashed. The high bits make a
/// stale or guessed SPI miss.
public enum SPILayout {
    /// Bits of the index: a little over a million SAs.
    public static let indexBits: UInt32 = 20
    /// The most SAs at once.
    public static let capacity = 1 << 20

    /// The bits of the index.
    public static let mask: UInt32 = 1 << indexBits - 1

    /// The table index of an inbound SPI.
    public static func index(of spi: UInt32) -> Int { Int(spi & (1 << indexBits - 1)) }

    /// The SPI for a table index: its high bits are `chance`, forced away from zero, so that no SPI is reserved
    /// (0 to 255, RFC 4303 §2.1).
    public static func spi(index: Int, chance: UInt32) -> UInt32 {
        let high = chance % ((1 << (32 - indexBits)) - 1) + 1
        return high << indexBits | UInt32(truncatingIfNeeded: index) & (1 << indexBits - 1)
    }
}
