import GatewayModel
import IPsecCrypto
import NetworkTypes

/// Something that we want to do on an established IKE SA as soon as no other request of ours is under way.
enum Intent: Hashable {
    /// Close the IKE SA.
    case deleteIKESA(Event.CloseReason)
    /// Close a Child SA.
    case deleteChild(ChildSAID, Event.CloseReason)
    /// Tell the peer to take away a Child SA that never came up here; holds our SPI of it.
    case deleteOrphan(UInt32, SecurityProtocol)
    /// Make a Child SA from the template of this name.
    case createChild(String)
    /// Make one more Child SA like this one, for another of our resources.
    case createBeside(ChildSAID)
    /// Make an IKE SA in place of this one.
    case rekeyIKESA
    /// Make a Child SA in place of this one.
    case rekeyChild(ChildSAID)
    /// Ask the peer whether it lives.
    case probe
    /// Tell the peer that we are somewhere else.
    case updateAddresses
    /// See whether the peer receives where it says that it is.
    case checkRoute
    /// Tell the peer which other addresses we have.
    case announceAddresses
    /// Tell the peer that it sends packets for a Child SA that is not there; holds their SPI.
    case reportSPI(UInt32)
    /// Send the peer to another gateway.
    case redirect(Host)

    /// What goes first: smaller numbers.
    var priority: Int {
        switch self {
        case .deleteIKESA: 0
        case .deleteChild, .deleteOrphan: 1
        case .createChild, .createBeside, .rekeyChild, .rekeyIKESA: 3
        case .updateAddresses, .checkRoute, .announceAddresses, .redirect: 2
        case .probe, .reportSPI: 4
        }
    }

    /// Whether it means nothing to the IKE SA that takes this one's place.
    var endsWithIKESA: Bool {
        switch self {
        case .rekeyIKESA, .probe, .reportSPI, .deleteIKESA(.expired), .deleteIKESA(.replaced): true
        default: false
        }
    }

    /// The name that status shows.
    var description: String {
        switch self {
        case .deleteIKESA: "IKE_DELETE"
        case .deleteChild, .deleteOrphan: "CHILD_DELETE"
        case .createChild, .createBeside: "CHILD_CREATE"
        case .rekeyChild: "CHILD_REKEY"
        case .rekeyIKESA: "IKE_REKEY"
        case .probe: "IKE_DPD"
        case .reportSPI: "INVALID_SPI"
        case .updateAddresses, .checkRoute, .announceAddresses: "IKE_MOBIKE"
        case .redirect: "IKE_REDIRECT"
        }
    }
}

/// What we want to do next on one IKE SA: the urgent first, then in the order in which it was asked for.
///
/// It owns a short list. It never starts anything by itself.
struct Agenda {
    /// What waits, in order.
    private(set) var intents: [Intent] = []

    /// Whether nothing waits.
    var isEmpty: Bool { intents.isEmpty }

    /// Puts an intent where its priority belongs; one that waits already is not put twice.
    mutating func add(_ intent: Intent) {
        guard !intents.contains(intent) else { return }
        let place = intents.firstIndex { $0.priority > intent.priority } ?? intents.endIndex
        intents.insert(intent, at: place)
    }

    /// Takes the next one.
    mutating func next() -> Intent? { intents.isEmpty ? nil : intents.removeFirst() }

    /// Forgets the intents for which `isMoot` says so.
    mutating func drop(where isMoot: (Intent) -> Bool) { intents.removeAll(where: isMoot) }
}
