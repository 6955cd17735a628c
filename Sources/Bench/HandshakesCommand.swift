import ArgumentParser
import Clockwork
import LinuxSystem
import NetworkTypes
import WireFormat

/// `martlet-bench handshakes`.
struct Handshakes: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Puts a responder under load: many IKEv2 handshakes with a pre-shared key, each with its Child SA.",
        discussion: """
            Every handshake comes from another identity, i0.bench, i1.bench and so on, and asks for another address under \
            10.128.0.0/9; the responder has to offer 10.2.0.0/16. UDP ports 500 and 4500 have to be free here. Nothing \
            is installed on this side. Measure the responder's processor time from outside.
            """)

    @Argument(help: "The responder's address.")
    var address: String

    @Option(help: "How many handshakes.")
    var count = 1000

    @Option(help: "How many may be under way at once.")
    var outstanding = 16

    @Option(help: "The number of the first initiator.")
    var first = 0

    @Option(help: "The IKE proposal.")
    var ike = "aes128gcm16-prfsha256-x25519"

    @Option(help: "The ESP proposal.")
    var esp = "aes128gcm16"

    @Option(help: "The pre-shared key.")
    var secret: String

    @Flag(help: "Leave the SAs where they are; without this each is deleted at once.")
    var keep = false

    func validate() throws {
        guard IPAddress(address) != nil else { throw ValidationError("'\(address)' is no address.") }
        guard count > 0, outstanding > 0, first >= 0, first < 1 << 23, count <= 1 << 23 else {
            throw ValidationError("The numbers must be above zero and below 8388608.")
        }
    }

    func run() throws {
        guard let responder = IPAddress(address) else { throw ValidationError("'\(address)' is no address.") }
        let suite = try BenchPeer.Suite(ike: ike, esp: esp)
        let run = try HandshakeRun(
            HandshakeRun.Options(
                address: responder, count: count, outstanding: outstanding, keeps: keep, first: first, suite: suite,
                key: SecretBytes(Array(secret.utf8))))
        let outcome = try run.run()
        let seconds = outcome.duration.seconds
        for figure in [
            Figure(name: "handshakes/established", value: Double(outcome.established), unit: "count"),
            Figure(name: "handshakes/failed", value: Double(outcome.failed), unit: "count"),
            Figure(name: "handshakes/wall", value: seconds, unit: "s"),
            Figure(name: "handshakes/rate", value: Double(outcome.established) / seconds, unit: "1/s"),
            Figure(
                name: "handshakes/initiator-cpu", value: ProcessInformation.processTime.seconds, unit: "s"),
        ] { print(figure.line) }
        if let failure = outcome.failure { print("# first failure: \(failure)") }
        if outcome.failed > 0 { throw ExitCode.failure }
    }
}
