public import Clockwork
public import LinuxSystem
import WireFormat

/// The control protocol on a Unix socket, driven by somebody else's poller.
///
/// It owns the listener and the clients' sockets. It never waits and has no thread: whoever owns the poller calls
/// ``handle(_:)`` for the events whose tokens it ``owns(_:)``, and ``expire()`` when ``nextDeadline`` has come.
public final class ViciServer {
    /// How many tokens, from the first on, are the server's.
    public static let tokenCount: UInt64 = 1 << 32

    /// Told in one clause why a client's connection was closed by us.
    public var onRefusal: ((String) -> Void)?

    private let control: ViciControl
    private weak var handler: (any ViciHandler)?
    private let poller: Poller
    private let firstToken: UInt64
    private var listener: UnixListener?
    private var resumeListening: Instant?
    private var clients: [ViciControl.SessionID: Client] = [:] { didSet { connected = clients.count } }
    /// How many these are: asked at every event.
    private var connected = 0
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    private struct Client {
        let stream: UnixStream
        var waitsToWrite = false
    }

    /// A server for `handler` whose descriptors are watched by `poller` with the tokens from `firstToken` on.
    public init(handler: any ViciHandler, poller: Poller, firstToken: UInt64) {
        control = ViciControl(handler: handler)
        self.handler = handler
        self.poller = poller
        self.firstToken = firstToken
    }

    /// Listens there; `mode` says who may connect to a Unix socket (who may write).
    public func listen(at address: ControlAddress, mode: UInt32 = 0o770) throws(SystemError) {
        let listener = try UnixListener(address, mode: mode)
        try poller.add(listener.descriptor, token: firstToken, .readable)
        self.listener = listener
    }

    /// Goes on listening where another process did: who connected meanwhile has waited.
    public func listen(adopting descriptor: Descriptor, at address: ControlAddress) throws(SystemError) {
        let listener = try UnixListener(adopting: descriptor, address: address)
        try poller.add(listener.descriptor, token: firstToken, .readable)
        self.listener = listener
    }

    /// The listening socket, for another process; nil when nobody listens.
    public var listeningDescriptor: Descriptor? { listener?.descriptor }

    /// Closes everything, the socket's file included.
    public func stop() {
        for id in clients.keys.sorted() { close(id) }
        if let listener, resumeListening == nil { try? poller.remove(listener.descriptor) }
        listener = nil
    }

    /// Whether an event with this token is the server's.
    public func owns(_ token: UInt64) -> Bool { token >= firstToken && token - firstToken < Self.tokenCount }

    /// Does what an event of the poller asks for.
    public func handle(_ event: PollEvent) {
        guard owns(event.token) else { return }
        if event.token == firstToken {
            accept()
        } else {
            let id = ViciControl.SessionID(rawValue: UInt32(truncatingIfNeeded: event.token - firstToken))
            if !event.readiness.isDisjoint(with: [.readable, .hungUp, .failed, .peerClosed]) { read(id) }
            if event.readiness.contains(.writable) { write(id) }
        }
        flush()
    }

    // MARK: What the gateway tells

    /// Tells the client how its command ended. A ticket that nobody waits for any more is passed over.
    public func complete(_ ticket: ViciTicket, _ outcome: ViciOutcome) {
        control.complete(ticket, outcome)
        flush()
    }

    /// Tells the client what happens on behalf of its command.
    public func log(_ ticket: ViciTicket, _ line: ViciLogLine) {
        control.log(ticket, line)
        flush()
    }

    /// Tells everybody who wants to know.
    public func publish(_ event: ViciEvent) {
        control.publish(event)
        flush()
    }

    /// Whether anybody wants events of this name: what costs to make need not be made for nobody.
    public func hasListeners(_ event: String) -> Bool { control.hasListeners(event) }

    /// Clients that are connected.
    public var clientCount: Int { connected }

    /// When ``expire()`` has something to do; nil for never.
    public var nextDeadline: Instant? {
        guard let first = control.nextDeadline else { return resumeListening }
        return min(first, resumeListening ?? first)
    }

    /// Answers the clients whose time is over, and listens again after a pause.
    public func expire() {
        control.expire()
        flush()
        guard let listener, let due = resumeListening, let handler, handler.now >= due else { return }
        do {
            try poller.add(listener.descriptor, token: firstToken, .readable)
            resumeListening = nil
        } catch {
            resumeListening = handler.now + .seconds(1)
            onRefusal?("the control socket can't be watched: \(error)")
        }
    }

    // MARK: Sockets

    private func accept() {
        do {
            // The listener's queue is drained in bounded rounds; the poller tells of the rest.
            for _ in 0..<16 {
                guard let stream = try listener?.accept() else { return }
                guard let id = control.open() else {
                    onRefusal?("more than \(ViciControl.maximumSessions) clients of the control socket at once")
                    continue
                }
                do {
                    try poller.add(stream.descriptor, token: token(id), .readable)
                    clients[id] = Client(stream: stream)
                } catch {
                    control.close(id)
                    throw error
                }
            }
        } catch {
            // Out of descriptors or memory: without a pause the poller would call again at once, for ever.
            onRefusal?("no client can be taken in for a second: \(error)")
            guard let listener else { return }
            try? poller.remove(listener.descriptor)
            resumeListening = (handler?.now ?? .zero) + .seconds(1)
        }
    }

    private func token(_ id: ViciControl.SessionID) -> UInt64 { firstToken + UInt64(id.rawValue) }

    private func read(_ id: ViciControl.SessionID) {
        guard let stream = clients[id]?.stream else { return }
        do {
            switch try stream.read(into: &buffer) {
            case .octets(let count):
                control.receive(buffer[..<count], from: id)
                // A key or a password may have passed through.
                buffer.wipe()
            case .wouldBlock: break
            case .end: close(id)
            }
        } catch {
            close(id)
        }
    }

    private func write(_ id: ViciControl.SessionID) {
        guard let client = clients[id] else { return }
        do {
            try control.drain(id) { octets throws(SystemError) in try client.stream.write(octets) }
            let mustWait = control.pendingOutput(id) > 0
            if mustWait != client.waitsToWrite {
                try poller.modify(
                    client.stream.descriptor, token: token(id), mustWait ? [.readable, .writable] : .readable)
                clients[id]?.waitsToWrite = mustWait
            }
        } catch {
            close(id)
        }
    }

    /// Writes what has become ready, and closes what has failed.
    private func flush() {
        // Writing lets a client's next request go on, which may change it again; the poller tells of what comes later.
        for _ in 0..<4 {
            let changed = control.takeChanged()
            if changed.isEmpty { return }
            for id in changed {
                write(id)
                if let reason = control.failure(id) {
                    onRefusal?("a client of the control socket: \(reason)")
                    close(id)
                }
            }
        }
    }

    private func close(_ id: ViciControl.SessionID) {
        control.close(id)
        guard let client = clients.removeValue(forKey: id) else { return }
        try? poller.remove(client.stream.descriptor)
    }
}
