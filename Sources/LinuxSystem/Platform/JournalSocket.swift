private import CLinux

/// Writes entries with fields to systemd's journal, by its native protocol: one datagram for each entry.
///
/// It owns the socket and the encoding. It never waits, and never says what a field means.
public final class JournalSocket: Sendable {
    /// One field of an entry.
    public struct Field: Hashable, Sendable {
        /// Capital letters, digits and underscores, at most 64, the first a letter.
        public let name: String
        /// Any text, also of several lines.
        public let value: String

        /// A field.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Where systemd-journald takes entries.
    public static let usualPath = "/run/systemd/journal/socket"

    private let descriptor: Descriptor
    private let path: String

    /// Writes to the journal at `path` (`@name` for the abstract name space).
    public init(_ path: String = usualPath) throws(SystemError) {
        try checkedText(path, "connect")
        self.path = path
        descriptor = Descriptor(owning: try checked(martlet_unix_socket(true), "socket", "Unix datagram"))
    }

    /// Whether what is written to `descriptor` goes to the journal: then JOURNAL_STREAM in the environment has its device
    /// and inode. A process whose output was redirected inherits the variable as well, and its log belongs elsewhere.
    public static func takes(
        _ descriptor: Int32, stream: String? = ProcessInformation.environment("JOURNAL_STREAM")
    ) -> Bool {
        let numbers = (stream ?? "").split(separator: ":", omittingEmptySubsequences: false).map { UInt64($0) }
        guard numbers.count == 2, let device = numbers[0], let inode = numbers[1] else { return false }
        var identity = martlet_file_identity()
        // A local variable that the shim fills.
        guard unsafe martlet_identify_open(descriptor, &identity) == 0 else { return false }
        return identity.device == device && identity.inode == inode
    }

    /// Writes an entry; false when the journal has no room at the moment.
    public func send(_ fields: [Field]) throws(SystemError) -> Bool {
        let bytes = try Self.encode(fields)
        // Connected for each entry: the journal may have made its socket anew. A checked string, ended by a zero.
        _ = try checked(unsafe martlet_unix_connect(descriptor.number, path), "connect", path)
        // The array lives for the length of the call.
        let result = unsafe bytes.withUnsafeBytes { bytes in
            unsafe martlet_socket_send(descriptor.number, bytes.baseAddress, bytes.count)
        }
        return try checkedUnlessBlocked(result, "send") != nil
    }

    /// `NAME=value` and a line's end; where the value has such an end itself, the name, a line's end, the value's length
    /// in 64 bits, the lowest first, the value and a line's end.
    static func encode(_ fields: [Field]) throws(SystemError) -> [UInt8] {
        var bytes: [UInt8] = []
        for field in fields {
            guard isName(field.name) else {
                throw SystemError(call: "send", errno: .invalidArgument, context: "the journal's field \(field.name)")
            }
            let value = Array(field.value.utf8)
            bytes += Array(field.name.utf8)
            if value.contains(UInt8(ascii: "\n")) {
                bytes.append(UInt8(ascii: "\n"))
                let length = UInt64(value.count)
                for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
            } else {
                bytes.append(UInt8(ascii: "="))
            }
            bytes += value
            bytes.append(UInt8(ascii: "\n"))
        }
        return bytes
    }

    private static func isName(_ name: String) -> Bool {
        let octets = Array(name.utf8)
        guard let first = octets.first, octets.count <= 64, (0x41...0x5a).contains(first) else { return false }
        return octets.allSatisfy { (0x41...0x5a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f }
    }
}
