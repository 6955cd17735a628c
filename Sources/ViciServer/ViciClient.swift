public import Clockwork
public import LinuxSystem
public import ViciMessages

/// Why a client's call came to nothing.
public enum ViciClientError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The system refused.
    case system(SystemError)
    /// The other end does not speak the protocol.
    case malformed(ViciError)
    /// The other end closed the connection.
    case closed
    /// The time is over.
    case timedOut
    /// The server does not know the command.
    case unknownCommand(String)
    /// The server has no such events.
    case unknownEvent(String)
    /// The server sent what does not belong here.
    case unexpected(String)

    /// A sentence without a full stop.
    public var description: String {
        switch self {
        case .system(let error): error.description
        case .malformed(let error): "The daemon's answer can't be read: \(error)"
        case .closed: "The daemon closed the connection"
        case .timedOut: "The daemon did not answer in time"
        case .unknownCommand(let name): "The daemon does not know the command '\(name)'; is it an older version?"
        case .unknownEvent(let name): "The daemon has no events '\(name)'; is it an older version?"
        case .unexpected(let what): "The daemon sent \(what) where it makes no sense"
        }
    }
}

/// A client of the control protocol, for tools.
///
/// It owns one connection and waits for answers on its caller's thread, never longer than it is told to.
public final class ViciClient {
    private let stream: UnixStream
    private var framer = ViciFramer()
    private var arrived: [ViciPacket] = []
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    /// Connects to the server at the Unix socket `path`.
    public convenience init(connectingTo path: String) throws(ViciClientError) {
        try self.init(connectingTo: .path(path))
    }

    /// Connects to the server there. Where others are waiting in such numbers that the queue is full, it waits with
    /// them, for two seconds at most.
    public init(connectingTo address: ControlAddress) throws(ViciClientError) {
        do throws(SystemError) {
            stream = try Self.connect(address, tries: 100)
        } catch {
            throw .system(error)
        }
    }

    private static func connect(_ address: ControlAddress, tries: Int) throws(SystemError) -> UnixStream {
        // Never signalled: a descriptor to wait on.
        let pause = try Wakeup()
        for _ in 1..<tries {
            do throws(SystemError) {
                return try UnixStream.connect(address)
            } catch {
                guard error.errno == .wouldBlock else { throw error }
                _ = try pause.descriptor.wait(milliseconds: 20)
            }
        }
        return try UnixStream.connect(address)
    }

    /// Carries out a command and gives back the answer.
    ///
    /// - Parameters:
    ///   - command: The command's name.
    ///   - arguments: Its arguments.
    ///   - event: The events that belong to it (`list-sa` to `list-sas`); nil for none.
    ///   - timeout: How long each answer or event may take; nil for ever.
    ///   - onEvent: Gets each event, in order.
    public func call(
        _ command: String, _ arguments: ViciTree = ViciTree(), streaming event: String? = nil,
        timeout: Interval? = .seconds(30), _ onEvent: (ViciTree) -> Void = { _ in }
    ) throws(ViciClientError) -> ViciTree {
        if let event { try register(.register(event), event, timeout) }
        try send(.request(command, arguments), timeout)
        var answer: ViciTree?
        while answer == nil {
            switch try next(timeout) {
            case .response(let tree): answer = tree
            case .event(let name, let tree): if name == event { onEvent(tree) }
            case .unknownCommand: throw .unknownCommand(command)
            default: throw .unexpected("a packet")
            }
        }
        if let event { try register(.unregister(event), event, timeout) }
        return answer ?? ViciTree()
    }

    /// What `martlet status` shows, of any size: the sections `connections`, `sas` and `refusals`.
    public func status(timeout: Interval? = .seconds(30)) throws(ViciClientError) -> ViciTree {
        var parts: [ViciTree] = []
        _ = try call(StatusReport.name, streaming: StatusReport.name, timeout: timeout) { parts.append($0) }
        return StatusReport.joined(parts)
    }

    /// Registers for events, which ``nextEvent(timeout:)`` then gives out.
    public func register(for events: [String], timeout: Interval? = .seconds(30)) throws(ViciClientError) {
        for event in events { try register(.register(event), event, timeout) }
    }

    /// The next event; nil when the time is over first.
    public func nextEvent(timeout: Interval?) throws(ViciClientError) -> (name: String, tree: ViciTree)? {
        do {
            while true {
                if case .event(let name, let tree) = try next(timeout) { return (name, tree) }
            }
        } catch {
            if error == .timedOut { return nil }
            throw error
        }
    }

    private func register(_ packet: ViciPacket, _ event: String, _ timeout: Interval?) throws(ViciClientError) {
        try send(packet, timeout)
        var passedOver: [ViciPacket] = []
        defer { arrived = passedOver + arrived }
        while true {
            let packet = try next(timeout)
            switch packet {
            case .confirmed: return
            case .unknownEvent: throw .unknownEvent(event)
            case .event: passedOver.append(packet)
            default: throw .unexpected("a packet")
            }
        }
    }

    private func send(_ packet: ViciPacket, _ timeout: Interval?) throws(ViciClientError) {
        let octets: [UInt8]
        do { octets = try packet.framed() } catch { throw .malformed(error) }
        var sent = 0
        do throws(SystemError) {
            while sent < octets.count {
                let taken = try stream.write(octets, from: sent)
                sent += taken
                if taken == 0, try !stream.descriptor.wait(writing: true, milliseconds: Self.milliseconds(timeout)) {
                    break
                }
            }
        } catch {
            throw .system(error)
        }
        if sent < octets.count { throw .timedOut }
    }

    private func next(_ timeout: Interval?) throws(ViciClientError) -> ViciPacket {
        while arrived.isEmpty {
            let outcome: ReadOutcome
            do throws(SystemError) {
                outcome = try stream.read(into: &buffer)
                if outcome == .wouldBlock, try !stream.descriptor.wait(milliseconds: Self.milliseconds(timeout)) {
                    throw SystemError(call: "poll", errno: .timedOut)
                }
            } catch {
                throw error.errno == .timedOut ? .timedOut : .system(error)
            }
            switch outcome {
            case .octets(let count):
                do { arrived += try framer.receive(buffer[..<count]) } catch { throw .malformed(error) }
            case .wouldBlock: continue
            case .end: throw .closed
            }
        }
        return arrived.removeFirst()
    }

    private static func milliseconds(_ timeout: Interval?) -> Int32 {
        guard let timeout else { return -1 }
        return Int32(clamping: max(0, timeout.nanoseconds / 1_000_000))
    }
}
