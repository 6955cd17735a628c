internal import CLinux
internal import WireFormat

/// A netlink socket: requests to the kernel with their answers, lists, and events.
///
/// It belongs to one thread. A request waits for its answer, which the kernel has ready when the request is sent; a
/// list is read to its end, and again when it changed meanwhile. Use one socket for requests and another for events.
public final class NetlinkSocket {
    /// The open socket, for a poller.
    public let descriptor: Descriptor
    private var sequence: UInt32 = 0
    private var buffer = [UInt8](repeating: 0, count: 65536)

    /// A socket for netlink family `family` (0 routes, 6 XFRM), in the calling thread's network namespace.
    public init(family: Int32) throws(SystemError) {
        descriptor = Descriptor(
            owning: try checked(martlet_netlink_open(family), "socket", "netlink family \(family)"))
    }

    /// A socket that is open already: in tests, one with something else than the kernel at its other end.
    init(descriptor: Descriptor) { self.descriptor = descriptor }

    /// Receives events of multicast group `group` from now on.
    public func join(group: UInt32) throws(SystemError) {
        _ = try checked(martlet_netlink_join(descriptor.number, group), "NETLINK_ADD_MEMBERSHIP", "group \(group)")
    }

    /// Does not hear of routes of this protocol, whoever makes them: they do not wake anybody.
    func ignoreRoutes(of protocolNumber: UInt8) throws(SystemError) {
        _ = try checked(
            martlet_netlink_ignore_routes(descriptor.number, protocolNumber), "SO_ATTACH_FILTER",
            "routes of protocol \(protocolNumber)")
    }

    /// Asks for room for `octets` of messages, above the system's limit where we may.
    public func setReceiveBuffer(_ octets: Int) throws(SystemError) {
        _ = try checked(martlet_option_receive_buffer(descriptor.number, Int32(clamping: octets)), "SO_RCVBUF")
    }

    /// Sends `request`, waits until the kernel has done it, and returns what it answered. `call` and `context` are for
    /// the error, which also carries what the kernel has to say.
    @discardableResult
    public func perform(
        _ request: NetlinkRequest, call: String, context: @autoclosure () -> String
    ) throws(SystemError) -> [NetlinkMessage] {
        var request = request
        request.flags.insert(.acknowledge)
        let number = try send(request, call: call, context: context())
        return try answers(to: number, call: call, context: context()).messages
    }

    /// Sends `requests` as one message that starts and ends with the marks of a batch, and waits until the kernel has done
    /// all of it, or refused. The error is the first that it reports.
    func performAll(_ requests: consuming NetlinkBatch, call: String, context: String) throws(SystemError) {
        guard requests.count > 2 else { return }
        // The last change answers for all; what is refused answers by itself.
        let answering = requests.count - 2
        let numbers = try send(
            &requests, 0..<requests.count, acknowledging: answering, call: call, context: { _ in context })
        let last = numbers.lowerBound + UInt32(answering)
        var refusal: SystemError?
        while true {
            var ended = false
            let answers: [NetlinkMessage]
            if refusal == nil {
                answers = try acknowledgements(call: call, context: context)
            } else {
                answers = try receive(isAnswer: true, call: call, context: context) ?? []
                ended = answers.isEmpty
            }
            for message in answers where message.type == 2 && numbers.contains(message.sequence) {
                do throws(SystemError) { try check(message, call: call, context: context) } catch {
                    if refusal == nil { refusal = error }
                }
                // Nothing more comes after the last change, or when the batch itself was refused.
                if message.sequence == last || message.sequence == numbers.lowerBound
                    || message.sequence == numbers.upperBound
                {
                    ended = true
                }
            }
            guard ended else { continue }
            if let refusal { throw refusal }
            return
        }
    }

    /// Sends `requests` together, in order, and waits until the kernel has done with all of them; what it refuses keeps
    /// it from none of the others. Returns the refused ones by their places.
    func performEach(
        _ requests: consuming NetlinkBatch, call: String, context: (Int) -> String
    ) throws(SystemError) -> [(place: Int, error: SystemError)] {
        var refused: [(place: Int, error: SystemError)] = []
        var start = 0
        while start < requests.count {
            // Each refusal takes room of the socket's: not too many at once.
            let places = start..<min(start + 128, requests.count)
            start = places.upperBound
            // The last one answers for all; what is refused answers by itself.
            let numbers = try send(
                &requests, places, acknowledging: places.upperBound - 1, call: call, context: context)
            var ended = false
            while !ended {
                let answers = try acknowledgements(call: call, context: context(places.lowerBound))
                for message in answers where message.type == 2 && numbers.contains(message.sequence) {
                    let place = places.lowerBound + Int(message.sequence - numbers.lowerBound)
                    do throws(SystemError) { try check(message, call: call, context: context(place)) } catch {
                        refused.append((place, error))
                    }
                    ended = ended || message.sequence == numbers.upperBound
                }
            }
        }
        return refused
    }

    /// Sends the requests at `places` together; the numbers that they have got.
    private func send(
        _ requests: inout NetlinkBatch, _ places: Range<Int>, acknowledging place: Int, call: String,
        context: (Int) -> String
    ) throws(SystemError) -> ClosedRange<UInt32> {
        if let overflow = requests.overflow {
            throw SystemError(call: call, errno: .messageTooLong, context: context(overflow))
        }
        let first = sequence &+ 1 > 0xffff_0000 ? 1 : sequence + 1
        sequence = first + UInt32(places.count - 1)
        requests.number(places, from: first, acknowledging: place)
        try send(requests.bytes(places), call: call, context: context(places.lowerBound))
        return first...sequence
    }

    /// The next answers to what was sent.
    private func acknowledgements(
        call: String, context: @autoclosure () -> String
    ) throws(SystemError) -> [NetlinkMessage] {
        while true {
            if let messages = try receive(isAnswer: true, call: call, context: context()) { return messages }
            guard try descriptor.wait(milliseconds: 5000) else {
                throw SystemError(call: call, errno: .timedOut, context: context())
            }
        }
    }

    /// Sends `request` as a wish for a list and returns all of it. A list that changed while it was read is read again.
    public func list(
        _ request: NetlinkRequest, call: String, context: @autoclosure () -> String = ""
    ) throws(SystemError) -> [NetlinkMessage] {
        var request = request
        request.flags.insert(.dump)
        for _ in 0..<16 {
            let number = try send(request, call: call, context: context())
            let answer = try answers(to: number, call: call, context: context())
            if !answer.interrupted { return answer.messages }
        }
        throw SystemError(call: call, errno: .busy, context: "the table keeps changing while it is read")
    }

    /// The events that have come; empty when there are none. ENOBUFS: some were lost, and the state must be read anew.
    public func events() throws(SystemError) -> [NetlinkMessage] {
        var all: [NetlinkMessage] = []
        // Bounded, so that a flood of events cannot keep the thread here.
        for _ in 0..<64 {
            guard let some = try receive(call: "netlink events", context: "") else { break }
            all += some
        }
        return all
    }

    private func send(_ request: NetlinkRequest, call: String, context: @autoclosure () -> String) throws(SystemError)
        -> UInt32
    {
        if request.body.overflowed { throw SystemError(call: call, errno: .messageTooLong, context: context()) }
        sequence = sequence == .max ? 1 : sequence + 1
        try send(request.encoded(sequence: sequence)[...], call: call, context: context())
        return sequence
    }

    private func send(
        _ bytes: ArraySlice<UInt8>, call: String, context: @autoclosure () -> String
    ) throws(SystemError) {
        // The array lives for the length of the call.
        let result = unsafe bytes.withUnsafeBytes { bytes in
            unsafe martlet_netlink_send(descriptor.number, bytes.baseAddress, bytes.count)
        }
        _ = try checked(result, call, context())
    }

    private func answers(
        to number: UInt32, call: String, context: @autoclosure () -> String
    ) throws(SystemError) -> (messages: [NetlinkMessage], interrupted: Bool) {
        var collected: [NetlinkMessage] = []
        var interrupted = false
        while true {
            let received: [NetlinkMessage]?
            do { received = try receive(call: call, context: context()) } catch {
                // Part of a long list had no room: the rest still comes, and then we ask again.
                guard error.errno == .noBufferSpace else { throw error }
                interrupted = true
                continue
            }
            guard let messages = received else {
                guard try descriptor.wait(milliseconds: 5000) else {
                    throw SystemError(call: call, errno: .timedOut, context: context())
                }
                continue
            }
            var ended = false
            // Another number: the rest of an answer that an error kept us from reading.
            for message in messages where message.sequence == number {
                interrupted = interrupted || message.flags.contains(.interrupted)
                switch message.type {
                case 2, 3:
                    try check(message, call: call, context: context())
                    ended = true
                case 1: break
                default: collected.append(message)
                }
            }
            if ended { return (collected, interrupted) }
        }
    }

    /// What one receive call gives; nil when there is nothing. A mere answer is not asked first how long it is: it fits.
    private func receive(
        isAnswer: Bool = false, call: String, context: @autoclosure () -> String
    ) throws(SystemError) -> [NetlinkMessage]? {
        while true {
            var sender: UInt32 = 0
            // The array's own memory and a local variable that the shim fills.
            let result = unsafe buffer.withUnsafeMutableBytes { bytes in
                unsafe martlet_netlink_receive(
                    descriptor.number, bytes.baseAddress, bytes.count, !isAnswer, &sender)
            }
            guard let size = try checkedUnlessBlocked(result, call, context()).map({ Int($0) }) else { return nil }
            if size > buffer.count {
                buffer = [UInt8](repeating: 0, count: size)
                continue
            }
            // Not from the kernel: another process may send to us, but not be believed.
            if sender != 0 { continue }
            do { return try NetlinkMessage.parse(Array(buffer[..<size])[...]) } catch {
                throw SystemError(call: call, errno: .badMessage, context: "\(context()): \(error)")
            }
        }
    }

    /// An acknowledgement or the end of a list: an error number, and with it perhaps a sentence of the kernel's.
    private func check(_ message: NetlinkMessage, call: String, context: @autoclosure () -> String) throws(SystemError)
    {
        var reader = NetlinkReader(message.payload)
        // The end of a list need not carry a number.
        guard let raw = try? reader.uint32("error number") else { return }
        let number = Int32(bitPattern: raw)
        guard number < 0 else { return }
        let said = context()
        let sentence = Self.sentence(in: message, after: reader)
        throw SystemError(
            call: call, errno: ErrorNumber(rawValue: number == .min ? .max : -number),
            context: sentence.map { said.isEmpty ? $0 : "\(said) (the kernel says: \($0))" } ?? said)
    }

    /// NLMSGERR_ATTR_MSG: behind the request's header, which NETLINK_CAP_ACK keeps to 16 octets.
    private static func sentence(in message: NetlinkMessage, after reader: NetlinkReader) -> String? {
        var reader = reader
        let hasAttributes = message.flags.rawValue & 0x200 != 0
        guard hasAttributes else { return nil }
        if message.type == 2 {
            let isCapped = message.flags.rawValue & 0x100 != 0
            guard let length = try? reader.uint32("request length"),
                (try? reader.skip(isCapped ? 12 : Int(length) - 4, "request")) != nil
            else { return nil }
            reader.align()
        }
        return (try? reader.attributes())?.text(1)
    }
}
