import GatewayModel
import StateRecords

/// How many octets of IKE messages went under an IKE SA's keys, and after how many it is to be replaced.
struct SessionVolume {
    private var octets: UInt64 = 0
    private var limit: UInt64 = .max

    /// Without a limit.
    init() {}

    /// With a limit, lower by chance (0 to 1) by up to a tenth, so that both ends seldom start at once; zero is none.
    init(limit: UInt64, chance: @autoclosure () -> Double) {
        guard limit > 0 else { return }
        self.limit = max(limit - UInt64(Double(limit / 10) * min(max(chance(), 0), 1)), 1)
    }

    /// Appends it.
    func write(to writer: RecordWriter) {
        writer.uint64(octets)
        writer.uint64(limit)
    }

    /// Reads it back.
    init(from reader: inout RecordReader) throws(RecordError) {
        octets = try reader.uint64("octets")
        limit = try reader.uint64("limit")
    }

    /// So many more; true once, when it is to be replaced.
    mutating func count(_ more: Int) -> Bool {
        octets &+= UInt64(clamping: more)
        guard octets >= limit else { return false }
        limit = .max
        return true
    }
}

extension SessionContext {
    /// A message of so many octets was sent, or came and was authentic.
    func count(_ octets: Int) {
        guard volume.count(octets), established != nil, !isReplaced else { return }
        agenda.add(.rekeyIKESA)
    }
}
