import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import StateRecords

/// What is left of an exchange of ours for another process, which has the request's octets and nothing else of it.
///
/// It owns what the answer is taken for. Exchanges that need a private value for that have none.
enum Remainder: Hashable {
    /// The peer was asked whether it lives.
    case probe
    /// The exchange can be made anew from its intent, and takes the answer.
    case intent(Intent)
    /// The answer means nothing to another process; the intent is carried out again.
    case again(Intent)

    /// The exchange that takes the answer; nil when nobody waits for it any more.
    func exchange(_ context: SessionContext, _ turn: inout Turn) -> any Exchange {
        switch self {
        case .probe: Probe(context.connection)
        case .intent(let intent): intent.exchange(context, &turn) ?? Repetition(intent: nil)
        case .again(let intent): Repetition(intent: intent)
        }
    }
}

/// A request that another process has sent, and whose answer says nothing here: its intent is carried out again.
struct Repetition: Exchange {
    /// What is to be done then.
    let intent: Intent?

    var type: ExchangeType { .informational }
    var activity: Activity { .none }
    var payloads: [Payload] { [] }
    var remainder: Remainder? { intent.map { .again($0) } ?? .probe }

    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep {
        if let intent { context.agenda.add(intent) }
        return .done
    }
}

extension Remainder: Recorded {
    func write(to writer: RecordWriter) {
        switch self {
        case .probe: writer.uint8(0)
        case .intent(let intent):
            writer.uint8(1)
            writer.put(intent)
        case .again(let intent):
            writer.uint8(2)
            writer.put(intent)
        }
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        switch try reader.uint8("exchange") {
        case 0: self = .probe
        case 1: self = .intent(try reader.value())
        case 2: self = .again(try reader.value())
        default: throw .badValue("exchange")
        }
    }
}

extension Intent: Recorded {
    func write(to writer: RecordWriter) {
        switch self {
        case .deleteIKESA(let reason):
            writer.uint8(0)
            reason.write(to: writer)
        case .deleteChild(let id, let reason):
            writer.uint8(1)
            writer.put(id)
            reason.write(to: writer)
        case .deleteOrphan(let spi, let securityProtocol):
            writer.uint8(2)
            writer.uint32(spi)
            writer.uint8(securityProtocol.rawValue)
        case .createChild(let name):
            writer.uint8(3)
            writer.text(name)
        case .createBeside(let id):
            writer.uint8(4)
            writer.put(id)
        case .rekeyIKESA: writer.uint8(5)
        case .rekeyChild(let id):
            writer.uint8(6)
            writer.put(id)
        case .probe: writer.uint8(7)
        case .updateAddresses: writer.uint8(8)
        case .checkRoute: writer.uint8(9)
        case .announceAddresses: writer.uint8(10)
        case .redirect(let gateway):
            writer.uint8(11)
            writer.put(gateway)
        case .reportSPI(let spi):
            writer.uint8(12)
            writer.uint32(spi)
        }
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        switch try reader.uint8("intent") {
        case 0: self = .deleteIKESA(try Event.CloseReason(from: &reader))
        case 1:
            let id = try reader.value(ChildSAID.self)
            self = .deleteChild(id, try Event.CloseReason(from: &reader))
        case 2:
            let spi = try reader.uint32("orphan")
            self = .deleteOrphan(spi, SecurityProtocol(rawValue: try reader.uint8("protocol")))
        case 3: self = .createChild(try reader.text("child"))
        case 4: self = .createBeside(try reader.value())
        case 5: self = .rekeyIKESA
        case 6: self = .rekeyChild(try reader.value())
        case 7: self = .probe
        case 8: self = .updateAddresses
        case 9: self = .checkRoute
        case 10: self = .announceAddresses
        case 11: self = .redirect(try reader.value())
        case 12: self = .reportSPI(try reader.uint32("SPI"))
        default: throw .badValue("intent")
        }
    }
}

extension Event.CloseReason {
    /// Appends it; why something failed has been told already.
    fileprivate func write(to writer: RecordWriter) {
        switch self {
        case .asked, .failed: writer.uint8(0)
        case .byPeer: writer.uint8(1)
        case .peerDead: writer.uint8(2)
        case .ikeSAEnded: writer.uint8(3)
        case .expired: writer.uint8(4)
        case .replaced: writer.uint8(5)
        case .shutdown: writer.uint8(6)
        case .inactive: writer.uint8(7)
        }
    }

    fileprivate init(from reader: inout RecordReader) throws(RecordError) {
        switch try reader.uint8("reason") {
        case 0: self = .asked
        case 1: self = .byPeer
        case 2: self = .peerDead
        case 3: self = .ikeSAEnded
        case 4: self = .expired
        case 5: self = .replaced
        case 6: self = .shutdown
        case 7: self = .inactive
        default: throw .badValue("reason")
        }
    }
}
