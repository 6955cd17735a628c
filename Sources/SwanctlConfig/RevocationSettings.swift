public import Clockwork

/// How it is found out whether certificates are revoked, whatever the connection: `charon.plugins.revocation`, and
/// `charon.cache_crls`.
///
/// It owns those keys' meaning. Whether a connection insists on an answer is the connection's (`revocation`).
public struct RevocationSettings: Hashable, Sendable {
    /// Whether revocation lists are fetched.
    public var fetchesLists = true
    /// Whether OCSP responders are asked.
    public var asksResponders = true
    /// Whether a certificate may send us to private addresses. What `authorities` name is always asked.
    public var mayBePrivate = false
    /// How long one exchange may take.
    public var timeout = Interval.seconds(10)
    /// How long all exchanges about one peer may take together.
    public var patience = Interval.seconds(20)
    /// Octets of the largest list that is taken.
    public var largestList = 64 << 20
    /// Where lists that were fetched are kept for the next start; nil for nowhere.
    public var cacheDirectory: String?
    /// Whether they are to be kept.
    var caches = false

    /// This field's defaults.
    public init() {}

    /// The section of `plugins`.
    static let known = KnownKeys.Entry(
        pattern: "revocation", defaultValue: nil,
        children: [
            ("enable_crl", "yes"), ("enable_ocsp", "yes"), ("private_addresses", "no"), ("timeout", "10s"),
            ("max_crl_size", "64M"),
        ].map { KnownKeys.Entry(pattern: $0.0, defaultValue: $0.1, children: []) })

    mutating func read(_ reader: inout SectionReader) {
        caches = reader.read("cache_crls", or: caches, ValueSyntax.bool)
        guard var plugins = reader.section("plugins"), var section = plugins.section("revocation") else { return }
        fetchesLists = section.read("enable_crl", or: fetchesLists, ValueSyntax.bool)
        asksResponders = section.read("enable_ocsp", or: asksResponders, ValueSyntax.bool)
        mayBePrivate = section.read("private_addresses", or: mayBePrivate, ValueSyntax.bool)
        timeout = section.read("timeout", or: timeout) { text throws(ValueProblem) in
            let time = try ValueSyntax.time(text)
            guard time >= .seconds(1), time <= .seconds(60) else {
                throw ValueProblem("'\(text)' is not from 1 s to 60 s", remedy: "10s is usual")
            }
            return time
        }
        patience = timeout + timeout
        largestList = section.read("max_crl_size", or: largestList) { text throws(ValueProblem) in
            let unit = text.last.map { $0 == "M" || $0 == "m" } == true
            let number = try ValueSyntax.number(unit ? String(text.dropLast()) : text, in: 1...(128 << 20))
            guard !unit || number <= 128 else {
                throw ValueProblem("'\(text)' is more than 128M", remedy: "write a number of octets, or 64M")
            }
            return unit ? number << 20 : number
        }
        // In a section of strongSwan's there may be keys that are none of ours.
        if reader.path == "martlet" { section.finish() }
    }

    /// Lists are kept beside the configuration file, where the next start finds them.
    mutating func settle(beside path: String) {
        cacheDirectory = caches ? FilePath.resolve("x509crl", in: FilePath.directory(of: path)) : nil
    }
}
