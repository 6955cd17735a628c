/// Something that a configuration's author should know: what, where, and what to do about it.
///
/// It never holds a secret's value.
public struct Diagnostic: Error, Hashable, Sendable, CustomStringConvertible {
    /// How bad it is.
    public enum Severity: String, Hashable, Sendable {
        /// It is loaded, and does what it says; worth knowing all the same.
        case note
        /// It is loaded, but may not be what was meant, or is weak.
        case warning
        /// Nothing is loaded.
        case error
    }

    /// How bad it is.
    public var severity: Severity
    /// Where.
    public var location: SourceLocation
    /// What: one clause that names the thing.
    public var message: String
    /// What to do about it, one clause; nil when the message says it all.
    public var remedy: String?
    /// Whether it is about a name that nobody knows: what else is wrong may only follow from that.
    public var isUnknownName = false

    /// Something to know.
    public init(_ severity: Severity, _ location: SourceLocation, _ message: String, remedy: String? = nil) {
        self.severity = severity
        self.location = location
        self.message = message
        self.remedy = remedy
    }

    /// `swanctl.conf:12:5: error: unknown key 'remote_adrs': did you mean 'remote_addrs'?`
    public var description: String {
        "\(location): \(severity.rawValue): \(message)" + (remedy.map { "; \($0)" } ?? "")
    }
}

/// Why a configuration was not loaded: everything that is wrong with it.
public struct ConfigurationErrors: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, in the order of the files; at least one.
    public let errors: [Diagnostic]
    /// What else is worth knowing.
    public let warnings: [Diagnostic]

    /// One line each, the errors first.
    public var description: String { (errors + warnings).map(\.description).joined(separator: "\n") }
}

/// Collects what is found, each finding once.
final class DiagnosticCollector {
    private(set) var errors: [Diagnostic] = []
    private(set) var warnings: [Diagnostic] = []
    private var seen: Set<Diagnostic> = []

    /// Whether everything that the files hold was understood as far as their grammar goes.
    var isComplete = true

    /// Findings above which no more are kept: a wrong file shall not fill the terminal, or the memory.
    static let limit = 500

    func add(_ diagnostic: Diagnostic) {
        guard errors.count + warnings.count < Self.limit || (errors.isEmpty && diagnostic.severity == .error),
            seen.insert(diagnostic).inserted
        else { return }
        if diagnostic.severity == .error { errors.append(diagnostic) } else { warnings.append(diagnostic) }
    }

    func error(_ location: SourceLocation, _ message: String, remedy: String? = nil) {
        add(Diagnostic(.error, location, message, remedy: remedy))
    }

    /// A name that nobody knows.
    func unknown(_ location: SourceLocation, _ message: String, remedy: String) {
        var diagnostic = Diagnostic(.error, location, message, remedy: remedy)
        diagnostic.isUnknownName = true
        add(diagnostic)
    }

    /// Something that should be there and is not. After a file that could not be read whole, that means nothing.
    func missing(_ location: SourceLocation, _ message: String, remedy: String? = nil) {
        if isComplete { error(location, message, remedy: remedy) }
    }

    func warning(_ location: SourceLocation, _ message: String, remedy: String? = nil) {
        add(Diagnostic(.warning, location, message, remedy: remedy))
    }

    func note(_ location: SourceLocation, _ message: String, remedy: String? = nil) {
        add(Diagnostic(.note, location, message, remedy: remedy))
    }
}
