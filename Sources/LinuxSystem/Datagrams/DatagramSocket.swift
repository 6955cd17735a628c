internal import CLinux
public import NetworkTypes

/// How a socket treats the size of a path (RFC 1191, RFC 8201).
public enum PathMTUPolicy: Int32, Hashable, Sendable {
    /// Never set DF; routers may fragment.
    case fragment = 0
    /// Set DF as the route says.
    case byRoute = 1
    /// Always set DF, and refuse what is larger than the known path.
    case dontFragment = 2
    /// Always set DF, but let through what is larger than the known path: for probing.
    case probe = 3
}

/// What became of a range of slots.
public struct SendReport: Hashable, Sendable {
    /// The first slot that was not handled; less than the range's end when the socket's buffer is full. Wait until the
    /// descriptor is writable, and go on from there.
    public var next: Int
    /// Slots that went out.
    public var sent = 0
    /// Slots that could not go out at all, or not wholly.
    public var dropped = 0
    /// Those among the dropped ones for which the device that they were to leave by had no room (ENOBUFS).
    public var crowdedOut = 0
    /// Trains that the kernel would not cut, and that went out as single datagrams. When this is more than now and then,
    /// stop making trains.
    public var cutHere = 0
    /// The last slot that held such a train.
    public var lastCut: Int?
    /// Why the last of the dropped slots was dropped.
    public var lastError: ErrorNumber?

    mutating func drop(for error: ErrorNumber) {
        dropped += 1
        if error == .noBufferSpace { crowdedOut += 1 }
        lastError = error
    }
}

/// What UDP and raw sockets have in common: datagrams between two addresses, one by one or in batches.
///
/// The kernel allows any thread to use a socket. Nothing here waits.
public protocol DatagramSocket: AnyObject, Sendable {
    /// The open socket, for a poller.
    var descriptor: Descriptor { get }
    /// The open socket's number, valid while this object lives. Asked for once for each batch of packets: it counts no
    /// reference.
    var number: Int32 { get }
    /// The family of the socket. An IPv6 socket that was made with `onlyIPv6: false` carries IPv4 as well.
    var family: IPAddress.Family { get }
    /// The address and port that it is bound to.
    var localEndpoint: Endpoint { get }
}

extension DatagramSocket {
    /// Receives one datagram into `buffer`; nil when there is none. What does not fit is lost, as
    /// ``DatagramInformation/truncated`` tells. Errors that an earlier datagram met on its way are passed over.
    public func receive(into buffer: inout MutableRawSpan) throws(SystemError) -> DatagramInformation? {
        var slot = martlet_slot()
        for _ in 0..<8 {
            // The span is writable memory of exactly the length that goes with it; the slot is a local variable.
            let result = unsafe buffer.withUnsafeMutableBytes { bytes in
                unsafe martlet_datagram_receive(descriptor.number, bytes.baseAddress, bytes.count, &slot)
            }
            if result < 0, ErrorNumber(rawValue: -result).concernsOneDatagram { continue }
            guard let count = try checkedUnlessBlocked(result, "recvmsg") else { return nil }
            var information = DatagramInformation(
                path: slot.path(localPort: localEndpoint.port, family: family), length: Int(count),
                segmentSize: Int(slot.segment_size), trafficClass: slot.traffic_class)
            information.interface = slot.interface
            information.truncated = slot.truncated
            return information
        }
        return nil
    }

    /// Receives one datagram over the start of `buffer`.
    public func receive(into buffer: inout [UInt8]) throws(SystemError) -> DatagramInformation? {
        var span = buffer.mutableSpan
        // Octets have no padding: a span of them is a raw span.
        var bytes = unsafe span.mutableBytes
        return try receive(into: &bytes)
    }

    /// Receives one datagram into memory that the caller owns.
    @unsafe
    public func receive(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(SystemError) -> DatagramInformation? {
        var span = unsafe MutableRawSpan(_unsafeBytes: buffer)
        return try receive(into: &span)
    }

    /// Receives as many datagrams as there are into the slots of `range` (all when nil), each `headroom` octets into
    /// its slot, and returns how many slots were filled, from the range's start on. Errors that earlier datagrams met
    /// on their way are passed over.
    public func receive(
        into batch: DatagramBatch, range: Range<Int>? = nil, headroom: Int = 0
    ) throws(SystemError) -> Int {
        let range = (range ?? 0..<batch.capacity).clamped(to: 0..<batch.capacity)
        for _ in 0..<8 {
            // The shim checks the range and the headroom against the batch's own arrays.
            let result = unsafe martlet_batch_receive(
                batch.raw, number, UInt32(range.lowerBound), UInt32(range.count), UInt32(clamping: headroom))
            if result < 0, ErrorNumber(rawValue: -result).concernsOneDatagram,
                result != -ErrorNumber.invalidArgument.rawValue
            {
                continue
            }
            guard let count = try checkedUnlessBlocked(result, "recvmmsg") else { return 0 }
            for index in range.lowerBound..<(range.lowerBound + Int(count)) {
                unsafe batch.slots[index].local.port = localEndpoint.port
            }
            return Int(count)
        }
        return 0
    }

    /// Sends one datagram; false when the socket's buffer is full. An error says why this datagram cannot go.
    public func send(
        _ bytes: RawSpan, along path: Path, interface: UInt32 = 0, trafficClass: UInt8 = 0
    ) throws(SystemError) -> Bool {
        var slot = martlet_slot()
        slot.setPath(path, interface: interface)
        slot.traffic_class = trafficClass
        for attempt in 0..<2 {
            // The span is readable memory of exactly the length that goes with it; the slot is a local variable.
            let result = unsafe bytes.withUnsafeBytes { bytes in
                unsafe martlet_datagram_send(
                    descriptor.number, Int32(family.rawValue), bytes.baseAddress, bytes.count, &slot)
            }
            // The first error may be an earlier datagram's.
            if attempt == 0, result < 0, ErrorNumber(rawValue: -result).concernsOneDatagram { continue }
            return try checkedUnlessBlocked(result, "sendmsg", "\(path)") != nil
        }
        return false
    }

    /// Sends one datagram; false when the socket's buffer is full.
    public func send(
        _ bytes: [UInt8], along path: Path, interface: UInt32 = 0, trafficClass: UInt8 = 0
    ) throws(SystemError) -> Bool {
        // Octets have no padding: a span of them is a raw span.
        try send(unsafe bytes.span.bytes, along: path, interface: interface, trafficClass: trafficClass)
    }

    /// Sends the slots of `range` in order. A slot that the kernel refuses is dropped, and the others go on; a train
    /// that the kernel will not cut is cut here.
    public func send(_ batch: DatagramBatch, _ range: Range<Int>) -> SendReport {
        let range = range.clamped(to: 0..<batch.capacity)
        var report = SendReport(next: range.lowerBound)
        var retried = -1
        while report.next < range.upperBound {
            // The shim checks the range against the batch's own arrays and each slot against its size.
            let result = unsafe martlet_batch_send(
                batch.raw, number, Int32(family.rawValue), UInt32(report.next),
                UInt32(range.upperBound - report.next))
            if result > 0 {
                report.next += Int(result)
                report.sent += Int(result)
                continue
            }
            let error = ErrorNumber(rawValue: -result)
            if error == .wouldBlock { break }
            if unsafe batch.slots[report.next].segment_size > 0 && cuttingMayHelp(error) {
                guard sendSegments(of: batch, report.next, &report) else { break }
            } else if retried != report.next, error.concernsOneDatagram {
                // The error may be an earlier datagram's.
                retried = report.next
            } else {
                report.next += 1
                report.drop(for: error)
            }
        }
        return report
    }

    /// EIO: the device cannot checksum; EINVAL, EMSGSIZE: too many segments or too long a train; EOPNOTSUPP: an old
    /// kernel.
    private func cuttingMayHelp(_ error: ErrorNumber) -> Bool {
        error == .inputOutput || error == .invalidArgument || error == .messageTooLong || error == .notSupported
    }

    /// Sends a train's datagrams one by one; false when the socket's buffer is full, and the slot then holds the rest.
    private func sendSegments(of batch: DatagramBatch, _ index: Int, _ report: inout SendReport) -> Bool {
        let slot = unsafe batch.slots[index]
        var single = slot
        single.segment_size = 0
        var offset = 0
        var failure: ErrorNumber?
        while offset < Int(slot.length) {
            let count = min(Int(slot.segment_size), Int(slot.length) - offset)
            let start = Int(slot.start) + offset
            guard start + count <= batch.slotSize else {
                failure = .invalidArgument
                break
            }
            // `start + count` was just checked against the slot; `single` is a local variable.
            let result = unsafe martlet_datagram_send(
                number, Int32(family.rawValue),
                batch.memory(of: index).baseAddress.map { unsafe $0 + start },
                count, &single)
            if result == -ErrorNumber.wouldBlock.rawValue {
                unsafe batch.slots[index].start = UInt32(start)
                unsafe batch.slots[index].length = slot.length - UInt32(offset)
                return false
            }
            if result < 0 { failure = ErrorNumber(rawValue: -result) }
            offset += count
        }
        report.next += 1
        if let failure {
            report.drop(for: failure)
        } else {
            report.sent += 1
            report.cutHere += 1
            report.lastCut = index
        }
        return true
    }
}
