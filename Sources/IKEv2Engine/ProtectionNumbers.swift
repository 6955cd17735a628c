import GatewayModel
import NetworkTypes

/// The numbers by which status and hooks name what Child SAs protect (`reqid`): the same for whatever takes a Child SA's
/// place, by a rekeying or in another IKE SA, as long as one of them is there.
///
/// It owns the counting. A number is that of the first Child SA in the row, so that no two rows share one.
struct ProtectionNumbers {
    /// What is protected.
    private struct Protected: Hashable {
        let connection: String
        let child: String
        let local: [TrafficSelector]
        let remote: [TrafficSelector]

        init(_ agreement: ChildAgreement, _ connection: String) {
            self.connection = connection
            child = agreement.template.name
            local = agreement.localSelectors
            remote = agreement.remoteSelectors
        }
    }

    private var rows: [Protected: (number: UInt32, users: Int)] = [:]

    /// How many rows there are.
    var count: Int { rows.count }

    /// One more Child SA: the number of the row that it belongs to. `number` is the one that it has if nobody protects
    /// the same yet.
    mutating func enter(_ agreement: ChildAgreement, of connection: String, number: UInt32) -> UInt32 {
        func enter(_ row: inout (number: UInt32, users: Int)) -> UInt32 {
            row.users += 1
            return row.number
        }
        return enter(&rows[Protected(agreement, connection), default: (number, 0)])
    }

    /// One fewer.
    mutating func leave(_ agreement: ChildAgreement, of connection: String) {
        guard let place = rows.index(forKey: Protected(agreement, connection)) else { return }
        rows.values[place].users -= 1
        if rows.values[place].users == 0 { rows.remove(at: place) }
    }
}
