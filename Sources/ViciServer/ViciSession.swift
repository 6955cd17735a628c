import Clockwork
import ViciMessages

/// One client of the control protocol: octets in, packets out.
///
/// It owns the client's registrations, the command that is being carried out, the requests that wait behind it, and
/// the octets that the client has not read yet, all bounded. It never interprets a command and never touches a socket.
final class ViciSession {
    /// How much of anything one client may make us keep.
    enum Limit {
        /// Octets that wait for the client. A client that lets more pile up has lost its connection.
        static let output = 4 << 20
        /// Octets that are written at once.
        static let chunk = 64 << 10
        /// Octets below which a listing goes on.
        static let listingLowWater = 128 << 10
        /// Requests that wait behind the one being carried out.
        static let requests = 16
    }

    /// The command that is being carried out.
    enum Activity {
        case none
        /// A listing: what is left of it.
        case listing(AnyIterator<ViciPacket>)
        /// A command whose outcome comes later, when it is given up, and the most detailed log level it wants.
        case awaiting(ViciTicket, deadline: Instant?, logLevel: Int)
    }

    private var framer = ViciFramer()
    private var registered: Set<String> = []
    private var waiting: [(name: String, arguments: ViciTree)] = []
    private var output: [UInt8] = []
    private var sent = 0
    /// What it is busy with.
    var activity = Activity.none
    /// Why the connection is to be closed; nil while all is well.
    private(set) var failure: String?

    /// Whether nothing is done for it and it waits for nothing.
    var isIdle: Bool {
        guard case .none = activity else { return false }
        return failure == nil && registered.isEmpty && waiting.isEmpty && pendingOutput == 0
    }

    /// Whether events of this name go to this client.
    func isRegistered(_ event: String) -> Bool { registered.contains(event) }

    /// Begins or ends telling of events of this name.
    func register(_ event: String, _ wanted: Bool) {
        if wanted { registered.insert(event) } else { registered.remove(event) }
    }

    /// The packets that `octets` complete. A malformed one ends the session.
    func receive(_ octets: some Collection<UInt8>) -> [ViciPacket] {
        guard failure == nil else { return [] }
        do {
            let packets = try framer.receive(octets)
            if let error = framer.error { failure = error.description }
            return packets
        } catch {
            failure = error.description
            return []
        }
    }

    /// Lets a request wait for its turn. Too many end the session.
    func postpone(_ name: String, _ arguments: ViciTree) {
        if waiting.count >= Limit.requests {
            failure = "more than \(Limit.requests) requests at once"
        } else {
            waiting.append((name, arguments))
        }
    }

    /// The next request, when nothing is being carried out.
    func nextRequest() -> (name: String, arguments: ViciTree)? {
        guard failure == nil, case .none = activity, !waiting.isEmpty else { return nil }
        return waiting.removeFirst()
    }

    /// Puts a packet into the output. A packet that VICI cannot carry becomes a short answer that says so, or is
    /// dropped when nobody waits for an answer.
    func send(_ packet: ViciPacket) {
        guard failure == nil else { return }
        do {
            output += try packet.framed()
        } catch {
            guard case .response = packet,
                let short = try? ViciPacket.response(
                    ViciReports.outcome(.failure("the answer can't be sent: \(error)"))
                )
                .framed()
            else { return }
            output += short
        }
        if pendingOutput > Limit.output {
            failure = "the client does not read what it asked for"
            output = []
            sent = 0
        }
    }

    /// Octets that wait for the client.
    var pendingOutput: Int { output.count - sent }

    /// Lets `write` take octets off the front of the output; it returns how many it took.
    func drain<Failure: Error>(_ write: ([UInt8]) throws(Failure) -> Int) throws(Failure) {
        while pendingOutput > 0 {
            let taken = try write(Array(output[sent...].prefix(Limit.chunk)))
            guard taken > 0 else { return }
            sent += min(taken, pendingOutput)
            if sent == output.count {
                output.removeAll(keepingCapacity: output.count <= Limit.listingLowWater)
                sent = 0
            } else if sent > Limit.listingLowWater {
                output.removeFirst(sent)
                sent = 0
            }
        }
    }

    /// Goes on with a listing as far as the output has room; whether it put anything there.
    func continueListing() -> Bool {
        guard case .listing(let packets) = activity, pendingOutput < Limit.listingLowWater else { return false }
        while pendingOutput < Limit.listingLowWater, failure == nil {
            guard let packet = packets.next() else {
                activity = .none
                return true
            }
            send(packet)
        }
        return true
    }

    /// Ends the session.
    func fail(_ reason: String) { if failure == nil { failure = reason } }
}
