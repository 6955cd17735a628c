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
        let protected = Protected(agreement, connection)
        let row = rows[protected] ?? (number, 0)
        rows[protected] = (row.number, row.users + 1)
        return row.number
    }

    /// One fewer.
    mutating func leave(_ agreement: ChildAgreement, of connection: String) {
        let protected = Protected(agreement, connection)
        guard let row = rows[protected] else { return }
        rows[protected] = row.users > 1 ? (row.number, row.users - 1) : nil
    }
}
