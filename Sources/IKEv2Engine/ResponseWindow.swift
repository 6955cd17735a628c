import StateRecords

/// The peer's requests on one IKE SA: which message ID is next, and what we said to the last one (RFC 7296 §2.1, §2.3).
///
/// It owns the exact datagrams of the last response, so that a request that comes again gets the same octets again. Only
/// message IDs of authentic messages may be shown to it. The window size is one.
struct ResponseWindow {
    /// What a request is, by its message ID.
    enum Verdict: Equatable {
        /// The next one: answer it.
        case fresh
        /// The last one again: send these again.
        case replay([[UInt8]])
        /// The last one again, while its answer is not ready.
        case suspended
        /// An older one, or one that no answer was ever given to.
        case stale
        /// One after the next.
        case future
    }

    /// The message ID of the next request; nil when they are used up.
    private(set) var expected: UInt32?
    /// What was said to the last request; empty when nothing was.
    private(set) var lastResponse: [[UInt8]] = []
    /// Whether the last request still waits for its answer.
    private(set) var isSuspended = false

    /// A window whose first request has this message ID.
    init(expecting id: UInt32) { expected = id }

    /// What a request with this message ID is.
    func judge(_ id: UInt32) -> Verdict {
        if id == expected { return .fresh }
        let last = expected.map { $0 == 0 ? nil : $0 - 1 } ?? UInt32.max
        guard id == last else { return expected.map { id > $0 } ?? false ? .future : .stale }
        if isSuspended { return .suspended }
        return lastResponse.isEmpty ? .stale : .replay(lastResponse)
    }

    /// A fresh request has been taken on; its answer follows.
    mutating func accept() {
        guard let id = expected else { return }
        expected = id == .max ? nil : id + 1
        isSuspended = true
        lastResponse = []
    }

    /// The request taken on last was answered with these.
    mutating func answered(_ datagrams: [[UInt8]]) {
        isSuspended = false
        lastResponse = datagrams
    }
}

// MARK: From one process to the next

extension ResponseWindow {
    /// Appends it, the last answer included.
    func write(to writer: RecordWriter) {
        writer.optional(expected) { writer.uint32($0) }
        writer.list(lastResponse) { writer.octets($0) }
    }

    /// Reads it back.
    init(from reader: inout RecordReader) throws(RecordError) {
        expected = try reader.optional("message ID") { reader throws(RecordError) in try reader.uint32("message ID") }
        lastResponse = try reader.list("answer") { reader throws(RecordError) in try reader.octets("answer") }
    }
}
