import Clockwork
import GatewayModel
import IKECore
import IKEMessages

/// One request of ours on an established IKE SA, and what its answer means.
///
/// A value that is made when its turn comes, gives its payloads once, and is used up by the answer. A new kind of exchange
/// is a new file and a new ``Intent``.
protocol Exchange {
    /// The exchange that carries it.
    var type: ExchangeType { get }

    /// What it is about, for whoever asks for something else at the same time.
    var activity: Activity { get }

    /// When the request is sent again; nil as the connection says.
    var schedule: RetransmissionSchedule? { get }

    /// The request's payloads.
    var payloads: [Payload] { get }

    /// What another process needs to know to take the answer; nil when it could not, since it would need secrets that
    /// stay here.
    var remainder: Remainder? { get }

    /// Takes the answer.
    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep
}

extension Exchange {
    var schedule: RetransmissionSchedule? { nil }
    var remainder: Remainder? { nil }
}

/// What comes after an answer.
enum NextStep {
    /// The exchange is over.
    case done
    /// Another request at once, before anything else.
    case then(any Exchange)
}

extension Intent {
    /// The exchange that carries it out; nil when there is nothing to do any more. Closing the IKE SA is not one: see
    /// ``Leaving``.
    func exchange(_ context: SessionContext, _ turn: inout Turn) -> (any Exchange)? {
        switch self {
        case .deleteIKESA: nil
        case .deleteChild(let id, let reason): DeleteChild(id, reason, context, &turn)
        case .deleteOrphan(let spi, let securityProtocol): DeleteOrphan(spi: spi, securityProtocol: securityProtocol)
        case .createChild(let name): CreateChild(name, context, &turn)
        case .createBeside(let id): CreateChild(besides: id, context, &turn)
        case .rekeyIKESA: RekeyIKE(context, &turn)
        case .rekeyChild(let id): CreateChild(replacing: id, context, &turn)
        case .probe: Probe(context.connection)
        case .updateAddresses: UpdateAddresses(context, &turn)
        case .checkRoute: CheckRoute(context, &turn)
        case .announceAddresses: AnnounceAddresses(context, turn)
        case .reportSPI(let spi): ReportSPI(spi, context)
        case .redirect(let gateway): SendElsewhere(to: gateway)
        }
    }
}
