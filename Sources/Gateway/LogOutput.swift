public import LinuxSystem

/// Where the log goes: standard error, most often a pipe, a socket of the service manager's or a terminal; where that is
/// the journal's, entries go there with their fields.
///
/// It owns what could not be written yet, one line at most. It never waits and never fails: a reader that does not read,
/// a disk that is full, a pipe that is closed must not hold up a gateway. Lines that are lost are counted, and the count
/// is written when there is room again.
public final class LogOutput {
    private let descriptor: Descriptor
    private let journal: JournalSocket?
    private var rest: [UInt8] = []
    private var lost = 0

    /// What a pipe takes whole once it says that it takes anything (PIPE_BUF).
    private static let chunk = 4096

    private enum Progress { case done, full, failed }

    /// Writes to `descriptor`, which may be one that waits; where `descriptor` leads to a journal, to that.
    public init(_ descriptor: Descriptor, journal: JournalSocket? = nil) {
        self.descriptor = descriptor
        self.journal = journal
    }

    /// Writes an entry. What the journal does not take now, or not at all, goes to it as a line without fields.
    public func write(_ record: LogRecord) {
        if let journal, (try? journal.send(record.fields)) == true { return }
        write(record.line)
    }

    /// Writes a line, or counts it as lost.
    public func write(_ line: String) {
        if flush() == .full {
            lost += 1
            return
        }
        let before = lost
        let note = before > 0 ? "(\(before) lines of the log were lost: nobody took them)\n" : ""
        rest = Array((note + line + "\n").utf8)
        lost = 0
        if flush() == .failed { lost = before + 1 }
    }

    private func flush() -> Progress {
        while !rest.isEmpty {
            do {
                // Asked first, since the descriptor is shared with whoever started us and may be one that waits.
                guard try descriptor.wait(writing: true, milliseconds: 0),
                    let count = try descriptor.write(Array(rest.prefix(Self.chunk)))
                else { return .full }
                rest.removeFirst(count)
            } catch {
                rest = []
                return .failed
            }
        }
        return .done
    }
}
