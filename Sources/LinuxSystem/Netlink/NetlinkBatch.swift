/// Requests that go to the kernel together, one behind the other in one piece of memory.
///
/// It owns their octets. They get their numbers when they are sent.
struct NetlinkBatch: Sendable {
    private var body = NetlinkBody()
    private var starts: [Int] = []
    /// The first request that is too long to be sent; nil when none is.
    private(set) var overflow: Int?

    /// How many requests there are.
    var count: Int { starts.count }

    /// Appends a request whose body `build` writes.
    mutating func append(_ type: UInt16, _ flags: NetlinkFlags = [], _ build: (inout NetlinkBody) -> Void) {
        let start = body.bytes.count
        starts.append(start)
        body.structure(NetlinkHeader(type: type, flags: flags.union(.request)))
        build(&body)
        body.set(UInt32(truncatingIfNeeded: body.bytes.count - start), at: start)
        body.zeros(-body.bytes.count & 3)
        if body.overflowed, overflow == nil { overflow = count - 1 }
    }

    /// Numbers the requests at `places`, the first of them with `first`, and asks for an answer to the one at `place` even
    /// when all is well.
    mutating func number(_ places: Range<Int>, from first: UInt32, acknowledging place: Int) {
        for (offset, start) in starts[places].enumerated() {
            body.set(first + UInt32(offset), at: start + NetlinkHeader.sequenceOffset)
        }
        let flags = starts[place] + NetlinkHeader.flagsOffset
        body.set(body.number(at: flags) | NetlinkFlags.acknowledge.rawValue, at: flags)
    }

    /// The requests at `places` as they go to the kernel.
    func bytes(_ places: Range<Int>) -> ArraySlice<UInt8> {
        let end = places.upperBound < count ? starts[places.upperBound] : body.bytes.count
        return body.bytes[(places.isEmpty ? end : starts[places.lowerBound])..<end]
    }
}

/// struct nlmsghdr.
struct NetlinkHeader {
    var length: UInt32 = 0
    var type: UInt16
    var flags: UInt16
    var sequence: UInt32 = 0
    var port: UInt32 = 0

    static let flagsOffset = 6
    static let sequenceOffset = 8

    init(type: UInt16, flags: NetlinkFlags) { (self.type, self.flags) = (type, flags.rawValue) }
}
