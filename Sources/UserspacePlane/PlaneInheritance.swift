import GatewayModel
import LinuxSystem
public import StateRecords

/// What a plane leaves open for the plane of the next process: its device, its sockets, children's devices, by number.
///
/// It owns numbers, and the descriptors only when the next plane takes them over. A device whose last descriptor closes
/// goes, and its routes with it; what came in meanwhile waits in the sockets.
public struct PlaneInheritance: Sendable {
    /// A TUN device's queue.
    struct Queue: Sendable {
        var name: String
        var hasVirtioHeader: Bool
        var offload: UInt32
        var number: Int32
    }

    /// A worker's device queue and sockets, in the order in which the plane makes them.
    struct Worker: Sendable {
        var queue: Queue
        var sockets: [Int32]
    }

    /// A child's own device.
    struct Interface: Sendable {
        var key: String
        var namespace: String?
        var queue: Queue
    }

    var workers: [Worker] = []
    var interfaces: [Interface] = []
    /// What the plane was configured to be: another one can't take these over.
    public internal(set) var shape = ""

    /// Nothing.
    init() {}

    /// All descriptors.
    public var descriptors: [Int32] {
        var seen: [Int32] = []
        for number in workers.flatMap({ [$0.queue.number] + $0.sockets }) + interfaces.map(\.queue.number)
        where !seen.contains(number) { seen.append(number) }
        return seen
    }

    /// Other numbers for the same: a service manager gives what it has kept under numbers of its own.
    public mutating func renumber(_ number: (Int32) -> Int32?) -> Bool {
        func changed(_ old: Int32) -> Int32 { number(old) ?? -1 }
        for index in workers.indices {
            workers[index].queue.number = changed(workers[index].queue.number)
            workers[index].sockets = workers[index].sockets.map(changed)
        }
        for index in interfaces.indices { interfaces[index].queue.number = changed(interfaces[index].queue.number) }
        return !descriptors.contains(-1)
    }
}

extension PlaneInheritance.Queue: Recorded {
    func write(to writer: RecordWriter) {
        writer.text(name)
        writer.bool(hasVirtioHeader)
        writer.uint32(offload)
        writer.uint32(UInt32(bitPattern: number))
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        name = try reader.text("device")
        hasVirtioHeader = try reader.bool("header")
        offload = try reader.uint32("offload")
        number = try Self.number(&reader)
    }

    /// Standard input, output and error are nobody's device.
    fileprivate static func number(_ reader: inout RecordReader) throws(RecordError) -> Int32 {
        let number = Int32(bitPattern: try reader.uint32("descriptor"))
        guard number > 2, number < 1 << 20 else { throw .badValue("descriptor") }
        return number
    }

    init(_ device: TunDevice) {
        name = device.name
        hasVirtioHeader = device.hasVirtioHeader
        offload = device.offload.rawValue
        number = device.descriptor.number
    }

    /// Takes the queue over.
    func adopt() -> TunDevice {
        TunDevice(
            adopting: Descriptor(owning: number), name: name, hasVirtioHeader: hasVirtioHeader,
            offload: TunOffload(rawValue: offload))
    }
}

extension PlaneInheritance: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.text(shape)
        writer.list(workers) { worker in
            writer.put(worker.queue)
            writer.list(worker.sockets) { writer.uint32(UInt32(bitPattern: $0)) }
        }
        writer.list(interfaces) { interface in
            writer.text(interface.key)
            writer.optional(interface.namespace) { writer.text($0) }
            writer.put(interface.queue)
        }
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        shape = try reader.text("shape")
        workers = try reader.list("workers") { reader throws(RecordError) in
            let queue = try reader.value(Queue.self)
            return Worker(
                queue: queue,
                sockets: try reader.list("sockets") { reader throws(RecordError) in try Queue.number(&reader) })
        }
        interfaces = try reader.list("devices") { reader throws(RecordError) in
            let key = try reader.text("device")
            let namespace = try reader.optional("namespace") { reader throws(RecordError) in
                try reader.text("namespace")
            }
            return Interface(key: key, namespace: namespace, queue: try reader.value())
        }
    }
}

extension PlaneConfiguration {
    /// What a running plane can't be made into: who configures this otherwise needs a new one.
    public var shape: String {
        let inside = if case .tun(let name) = inside { name } else { "ports" }
        let offload = offload == .automatic ? "offload" : "plain"
        return "\(inside) \(offload) \(workers) \(ikeEndpoints) \(sharedEndpoints) \(carriesPlainESP) "
            + "\(mark.map { "\($0)" } ?? "-") \(routeTable) \(rulePriority) \(routeProtocol)"
    }
}
