import GatewayModel
import IKECore

/// A connection whose ends must not come together never does: no IKE SA is established, nothing is installed.
final class SecretProperty: Property {
    let name = "no entry"

    private let forbidden: Set<String>
    private let childless: Set<String>

    /// `forbidden` connections never get an IKE SA, `childless` ones never a Child SA.
    init(forbidden: Set<String>, childless: Set<String>) {
        self.forbidden = forbidden
        self.childless = childless
    }

    func handled(_ moment: Moment, _ report: inout Report) {
        for case .publish(let event) in moment.effects {
            guard let connection = event.connection else { continue }
            switch event.kind {
            case .ikeEstablished where forbidden.contains(connection):
                report.violation(name, moment.host, "\(connection) is established")
            case .childInstalled where forbidden.contains(connection) || childless.contains(connection):
                report.violation(name, moment.host, "a child of \(connection) is installed")
            default: break
            }
        }
        for summary in moment.after where forbidden.contains(summary.connection) && summary.state == .established {
            report.violation(name, moment.host, "\(summary.connection) is in state ESTABLISHED")
        }
    }
}
