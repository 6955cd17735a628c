import Clockwork
import ESPEngine
import GatewayModel
import NetworkTypes
import StateRecords
import UserspacePlane
import WireFormat

/// Everything that one process leaves to the next, as it lies in sealed memory.
///
/// It owns the order of the parts and the version. What is in a part, its owner writes and reads. It holds keys: it is
/// neither kept longer than needed nor written anywhere else.
struct HandoverState {
    /// The version of what is written here. Fields come at the ends of nested parts; anything else is a new version.
    static let version: UInt16 = 1
    private static let magic: UInt64 = 0x4d41_5254_4c45_5401
    private static let end: UInt32 = 0x454e_4421

    /// When packets ceased to be carried.
    var rested: Instant
    /// When the first of all these processes was started.
    var started: Instant
    /// The listening control socket; nil when it is opened anew.
    var listener: Int32?
    /// Devices and sockets.
    var plane: PlaneInheritance
    /// How many IKE SAs, Child SAs and connections that were up are left out.
    var left: [String] = []
    /// What control clients have loaded.
    var store: RecordReader
    /// Virtual addresses that are lent, and what was counted.
    var ledgers: RecordReader
    /// The engine.
    var engine: RecordReader
    /// SAs, as the data plane has them.
    var associations: [Carried] = []
    /// Policies that Child SAs left behind.
    var traps: [StandingPolicy] = []
    /// Virtual addresses of this host.
    var addresses: [IPAddress] = []

    /// A Child SA in the data plane.
    struct Carried {
        var association: SecurityAssociation
        var state: AssociationState
        /// Whether packets are led to it. Outbound only.
        var isProtecting: Bool
    }

    /// What is written beside the parts that others write.
    struct Head {
        var rested: Instant
        var started: Instant
        var listener: Int32?
        var plane: PlaneInheritance
        var left: [String]
        var associations: [Carried]
        var traps: [StandingPolicy]
        var addresses: [IPAddress]
    }

    /// Writes everything; the three parts are written by their owners.
    static func write(
        _ head: Head, to writer: RecordWriter, store: () -> Void, ledgers: () -> Void, engine: RecordWriter
    ) {
        writer.uint64(magic)
        writer.uint16(version)
        writer.nested {
            writer.instant(head.rested)
            writer.instant(head.started)
            writer.optional(head.listener) { writer.uint32(UInt32(bitPattern: $0)) }
            writer.put(head.plane)
            writer.list(head.left) { writer.text($0) }
            writer.list(head.traps)
            writer.list(head.addresses)
        }
        writer.nested(store)
        writer.nested(ledgers)
        writer.nested { engine.buffer.withSpan { writer.buffer.append($0) } }
        writer.list(head.associations) { carried in
            writer.nested {
                writer.put(carried.association)
                writer.put(carried.state)
                writer.bool(carried.isProtecting)
                writer.interval(carried.association.tunnel.dummyInterval)
                writer.uint8(carried.association.tunnel.laterFragments.rawValue)
            }
        }
        writer.uint32(end)
    }

    /// Reads it; the parts that others read are still to be read.
    init(_ memory: SecretBytes) throws(RecordError) {
        var first = RecordReader(memory, version: 0)
        guard let magic = try? first.uint64("beginning"), magic == Self.magic else { throw .noState }
        let version = try first.uint16("version")
        guard version == Self.version else { throw .version(version, known: Self.version) }
        var reader = RecordReader(memory, version: version)
        _ = try reader.uint64("beginning")
        _ = try reader.uint16("version")
        var head = try reader.nested("head")
        rested = try head.instant("rested")
        started = try head.instant("started")
        listener = try head.optional("listener") { reader throws(RecordError) in
            let number = Int32(bitPattern: try reader.uint32("listener"))
            guard number > 2 else { throw .badValue("listener") }
            return number
        }
        plane = try head.value()
        left = try head.list("left") { reader throws(RecordError) in try reader.text("connection") }
        traps = try head.list("traps")
        addresses = try head.list("addresses")
        store = try reader.nested("store")
        ledgers = try reader.nested("ledgers")
        engine = try reader.nested("engine")
        associations = try reader.list("SAs") { reader throws(RecordError) in
            var record = try reader.nested("SA")
            var association = try record.value(SecurityAssociation.self)
            let state = try record.value(AssociationState.self)
            let isProtecting = try record.bool("protecting")
            // Those who know nothing of these write nothing of them.
            if !record.isAtEnd {
                association.tunnel.dummyInterval = try record.interval("interval")
                let number = try record.uint8("fragments")
                guard let fragments = TunnelBehaviour.LaterFragments(rawValue: number) else {
                    throw .badValue("fragments")
                }
                association.tunnel.laterFragments = fragments
            }
            return Carried(association: association, state: state, isProtecting: isProtecting)
        }
        guard try reader.uint32("end") == Self.end, reader.isAtEnd else { throw .cutOff }
    }

    /// All descriptors that belong to it.
    var descriptors: [Int32] { plane.descriptors + (listener.map { [$0] } ?? []) }

    /// Other numbers for the same descriptors; false when there is none for one of them.
    mutating func renumber(_ number: (Int32) -> Int32?) -> Bool {
        var taken: [Int32: Int32] = [:]
        // One that is used twice is given once.
        func changed(_ old: Int32) -> Int32? {
            if let known = taken[old] { return known }
            taken[old] = number(old)
            return taken[old]
        }
        if let old = listener {
            guard let new = changed(old) else { return false }
            listener = new
        }
        return plane.renumber(changed)
    }

    /// Makes sure that a plane of that shape can take this one's place.
    func require(_ shape: String) throws {
        guard plane.shape == shape else {
            throw Daemon.SuccessionFailure(
                description: "device, ports, workers or offload are configured otherwise than they are: "
                    + "'\(plane.shape)', now '\(shape)'; that takes a stop and a start")
        }
    }

    /// Lets a store take what clients had loaded; what it can't take is named.
    mutating func read(into configuration: ConfigurationStore) throws(RecordError) -> [String] {
        try configuration.read(from: &store, now: rested)
    }
}
