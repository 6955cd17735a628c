public import GatewayModel

/// One thing that an engine wants done.
public enum Effect: Sendable {
    /// Send this datagram.
    case send(Datagram)
    /// Tell the data plane.
    indirect case plane(PlaneCommand)
    /// Answer this question, when there is an answer.
    indirect case ask(Ticket, Query)
    /// Take these addresses back: their client is gone.
    case release(Lease)
    /// Forget this EAP conversation: its IKE SA needs it no longer.
    case forget(EAPQuestion.Conversation)
    /// This happened.
    case publish(Event)
    /// An IKE SA uses these keys from now on. Only while ``Environment/exposesKeys`` says so.
    case expose(ExposedKeys)
}

/// What an engine wants done, in order: the order is part of the meaning. What the data plane is to do comes first.
public struct Effects: Sendable {
    /// What is to be done, the first first; each can be taken out of its place.
    private var list: [Effect?] = []
    /// How many of these are for the data plane.
    private var planeCount = 0
    /// What most inputs give rise to.
    private static var usual: Int { 8 }

    /// Starts empty.
    public init() {}

    /// Whether nothing is to be done.
    public var isEmpty: Bool { list.isEmpty }

    /// Adds one more thing at the end, or at the end of what the data plane is to do: a peer may send, and be answered, as
    /// soon as it hears from us.
    public mutating func append(_ effect: consuming Effect) {
        if list.isEmpty { list.reserveCapacity(Self.usual) }
        if case .plane = effect {
            list.insert(effect, at: planeCount)
            planeCount += 1
        } else {
            list.append(effect)
        }
    }

    /// Takes out everything: first what the data plane is to do, then the rest, either in order.
    public mutating func take() -> [Effect] { takePlaces().compactMap { $0 } }

    /// The same, each in a place out of which it can be taken: an effect is large, and then no copy is made of it.
    public mutating func takePlaces() -> [Effect?] {
        var taken: [Effect?] = []
        swap(&taken, &list)
        planeCount = 0
        return taken
    }
}
