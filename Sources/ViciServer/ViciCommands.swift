import Clockwork
import GatewayModel
import ViciMessages

/// The arguments of the commands, read into what the gateway understands.
///
/// It owns the names and the spellings of arguments. It never carries anything out.
enum ViciCommands {
    /// Events that a client may register for.
    static let events: Set<String> = [
        "log", "control-log", "list-sa", "list-conn", "list-cert", "list-policy", "list-authority", "ike-updown",
        "ike-rekey", "ike-update", "child-updown", "child-rekey", "alert", StatusReport.name, recentLog,
    ]

    /// Our own command for the lines of the log that the gateway remembers, and the event that carries one.
    static let recentLog = "martlet-log"

    /// Our own command that lets another process take this one's place; its answer is the end of the connection, or why
    /// that was not done.
    static let restart = "martlet-restart"
    /// Our own command that says how the last such change went.
    static let restarted = "martlet-restarted"

    /// Why arguments make no sense: one clause for the client.
    struct Refusal: Error { let reason: String }

    /// Reads the arguments of `initiate`.
    static func initiation(_ arguments: ViciTree) throws(Refusal) -> ViciInitiation {
        let request = ViciInitiation(
            connection: name(arguments, "ike"), child: name(arguments, "child"),
            respectsLimits: arguments["init-limits"].map { $0 == "yes" } ?? false, wait: try wait(arguments))
        guard request.connection != nil || request.child != nil else {
            throw Refusal(reason: "missing configuration name: give 'child' or 'ike'")
        }
        return request
    }

    /// Reads the arguments of `terminate`.
    static func termination(_ arguments: ViciTree) throws(Refusal) -> ViciTermination {
        ViciTermination(
            target: try target(arguments, "terminate"), force: arguments["force"] == "yes", wait: try wait(arguments))
    }

    /// Reads the arguments of `rekey`.
    static func rekeying(_ arguments: ViciTree) throws(Refusal) -> Command.Target {
        try target(arguments, "rekey")
    }

    /// Whether `rekey` is to authenticate both ends anew, as IKE SAs only can be.
    static func wantsReauthentication(_ arguments: ViciTree, _ target: Command.Target) throws(Refusal) -> Bool {
        guard arguments["reauth"] == "yes" else { return false }
        switch target {
        case .connection, .ikeSA: return true
        case .child, .childSA: throw Refusal(reason: "a CHILD_SA can't be reauthenticated; name its IKE_SA")
        }
    }

    private static func target(_ arguments: ViciTree, _ command: String) throws(Refusal) -> Command.Target {
        let connection = name(arguments, "ike")
        if let child = name(arguments, "child") { return .child(child, connection: connection) }
        if let connection { return .connection(connection) }
        if let id = try identifier(arguments, "child-id", "child_id") { return .childSA(ChildSAID(rawValue: id)) }
        if let id = try identifier(arguments, "ike-id", "ike_id") { return .ikeSA(IKESAID(rawValue: id)) }
        throw Refusal(reason: "missing \(command) selector: give 'child', 'ike', 'child-id' or 'ike-id'")
    }

    /// The most detailed log level that the client wants to see.
    static func logLevel(_ arguments: ViciTree) -> Int { arguments["loglevel"].flatMap { Int($0) } ?? 1 }

    /// Which IKE SAs and which of their children `list-sas` is to show.
    struct Filter {
        var connection: String?
        var ikeSA: UInt32?
        var child: String?
        var childSA: UInt32?

        init(_ arguments: ViciTree) throws(Refusal) {
            connection = ViciCommands.name(arguments, "ike")
            child = ViciCommands.name(arguments, "child")
            ikeSA = try ViciCommands.identifier(arguments, "ike-id", "ike_id")
            childSA = try ViciCommands.identifier(arguments, "child-id", "child_id")
        }

        /// Whether this child is to be shown.
        func includes(_ summary: ChildSASummary) -> Bool {
            (child == nil || child == summary.name) && (childSA == nil || childSA == summary.id.rawValue)
        }

        /// Whether this IKE SA is to be shown; one that has no matching child is, without children.
        func includes(_ summary: IKESASummary) -> Bool {
            (connection == nil || connection == summary.connection) && (ikeSA == nil || ikeSA == summary.id.rawValue)
        }
    }

    /// How long to wait: milliseconds, 0 until there is an outcome, -1 not at all.
    private static func wait(_ arguments: ViciTree) throws(Refusal) -> ViciWait {
        guard let text = arguments["timeout"] else { return .untilDone }
        guard let milliseconds = Int64(text) else {
            throw Refusal(reason: "'timeout' is a number of milliseconds, 0 or -1")
        }
        return milliseconds == 0 ? .untilDone : milliseconds < 0 ? .none : .atMost(.milliseconds(milliseconds))
    }

    private static func name(_ arguments: ViciTree, _ key: String) -> String? {
        arguments[key].flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func identifier(_ arguments: ViciTree, _ keys: String...) throws(Refusal) -> UInt32? {
        for key in keys {
            guard let text = arguments[key], !text.isEmpty else { continue }
            guard let number = UInt32(text) else { throw Refusal(reason: "'\(key)' is a number") }
            return number == 0 ? nil : number
        }
        return nil
    }
}
