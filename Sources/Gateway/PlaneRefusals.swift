import Clockwork
import GatewayModel

/// What the data plane has refused, as long as anything follows from that.
///
/// It owns the notes; what follows, the ``Gateway`` knows.
struct PlaneRefusals {
    /// Child SAs that it did not take, until they are closed.
    var children: Set<ChildSAID> = []
    /// Their SAs, which it does not have although the engine will ask for their removal.
    var directions: Set<Direction> = []
    /// What it last refused of each connection, until a child of it is taken.
    var connections: [String: (time: Instant, refusal: Refusal)] = [:]

    /// One direction of a Child SA, as commands name it.
    struct Direction: Hashable {
        var direction: SecurityAssociation.Direction
        var spi: UInt32
        var child: ChildSAID
    }

    /// Whether there is nothing.
    var isEmpty: Bool { children.isEmpty && directions.isEmpty && connections.isEmpty }
}
