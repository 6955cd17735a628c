// What a client of the control socket sends: framing, packets, trees, and the commands behind them.
import Clockwork
import FuzzSupport
import GatewayModel
import ViciMessages
import ViciServer

/// A gateway with one connection and one IKE SA that refuses whatever it is told.
private final class Gateway: ViciHandler {
    weak var control: ViciControl?
    let now = Instant.zero
    let unixTime: Int64 = 0

    func version() -> ViciVersion { ViciVersion(daemon: "x", version: "1", system: "x", release: "x", machine: "x") }
    func statistics() -> ViciStatistics {
        ViciStatistics(
            uptime: .zero, workers: 1, idleWorkers: 0, scheduled: 0, ikeSAs: 1, halfOpenIKESAs: 0, features: [])
    }
    func ikeSAs() -> [ViciIKESA] { [] }
    func connections() -> [Connection] { [Connection(name: "gw")] }
    func lastFailures() -> [String: ViciFailure] { ["gw": ViciFailure(code: "E", text: "t", time: now)] }
    func strayFailures() -> [ViciFailure] { [] }
    func algorithms() -> [(kind: String, names: [String])] { [("encryption", ["a"])] }
    func reloadSettings() -> ViciOutcome { .success }
    func rekey(_ target: Command.Target) -> ViciOutcome { .rekeying(0) }
    func initiate(_ request: ViciInitiation, ticket: ViciTicket) {
        control?.log(ticket, ViciLogLine(group: "IKE", text: request.child ?? "none"))
        control?.complete(ticket, .failure("no"))
    }
    func terminate(_ request: ViciTermination, ticket: ViciTicket) { control?.complete(ticket, .terminated(0, of: 1)) }
}

/// The first octet chooses into what pieces the rest, a stream, is cut.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzVici(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe Fuzz.octets(start, count)
    guard let first = input.first else { return 0 }
    let stream = input.dropFirst()
    let piece = Int(first) + 1
    requireSamePackets(stream, piece)

    let gateway = Gateway()
    let control = ViciControl(handler: gateway)
    gateway.control = control
    guard let client = control.open() else { return 0 }
    var output = ViciFramer()
    var rest = stream
    while !rest.isEmpty, control.failure(client) == nil {
        control.receive(rest.prefix(piece), from: client)
        rest = rest.dropFirst(piece)
        control.drain(client) { octets in
            let packets = try? output.receive(octets)
            Fuzz.require(packets != nil && output.error == nil, "what we send is well formed")
            return octets.count
        }
    }
    control.close(client)
    return 0
}

/// However the stream is cut, the same packets come out, and each is read again as what was written.
private func requireSamePackets(_ stream: ArraySlice<UInt8>, _ piece: Int) {
    var whole = ViciFramer()
    var cut = ViciFramer()
    let atOnce = (try? whole.receive(stream)) ?? []
    var inPieces: [ViciPacket] = []
    var rest = stream
    while !rest.isEmpty {
        inPieces += (try? cut.receive(rest.prefix(piece))) ?? []
        rest = rest.dropFirst(piece)
    }
    Fuzz.require(atOnce == inPieces, "cutting changes nothing")
    for packet in atOnce {
        guard let framed = try? packet.framed() else { fatalError("what was read can't be written") }
        var again = ViciFramer()
        Fuzz.require((try? again.receive(framed)) == [packet], "what is written is read as the same")
        _ = Fuzz.observe(packet.description)
    }
}
