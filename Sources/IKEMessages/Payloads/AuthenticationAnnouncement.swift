/// One entry of SUPPORTED_AUTH_METHODS: a way in which the receiver may prove who it is (RFC 9593 §3.2).
///
/// It owns the entry's three shapes on the wire. It never decides what is announced, nor what is used.
public struct AuthenticationAnnouncement: Hashable, Sendable {
    /// AUTH's method.
    public var method: AuthenticationMethod
    /// To which authority of the same message's CERTREQ payloads it is bound, counted from 1; 0 for any.
    public var authority: UInt8
    /// Which signature, as an AlgorithmIdentifier in DER; empty where the method says it all.
    public var algorithm: [UInt8]

    /// A method that has no certificates, or that says itself how it signs.
    public init(_ method: AuthenticationMethod, authority: UInt8 = 0) {
        self.method = method
        self.authority = authority
        algorithm = []
    }

    /// A signature that names its own algorithm (RFC 7427); nil for one without a name.
    public init?(_ identifier: SignatureIdentifier, authority: UInt8 = 0) {
        guard let der = identifier.der else { return nil }
        method = .digitalSignature
        self.authority = authority
        algorithm = der
    }

    /// Whether it has the field that binds it to an authority: methods without certificates have not (RFC 9593 §3.2.1).
    private var isLinked: Bool { ![.sharedKey, .securePassword, .null].contains(method) }

    /// The entry: its own length, the method, the authority, the algorithm. An algorithm that its length can't count is
    /// cut off, and then understood by nobody.
    private var bytes: [UInt8] {
        guard isLinked else { return [2, method.rawValue] }
        let algorithm = algorithm.prefix(252)
        return [UInt8(truncatingIfNeeded: 3 + algorithm.count), method.rawValue, authority] + algorithm
    }

    /// The most entries that are read.
    private static let most = 64

    /// Reads a notification's data, the preferred first; nil when it is no list of entries. Entries of methods that nobody
    /// here knows are among them.
    public static func list(_ data: [UInt8]) -> [AuthenticationAnnouncement]? {
        var list: [AuthenticationAnnouncement] = []
        var rest = data[...]
        while let length = rest.first.map(Int.init), list.count < most {
            guard length >= 2, length <= rest.count else { return nil }
            let entry = rest.prefix(length).dropFirst()
            rest = rest.dropFirst(length)
            var announcement = AuthenticationAnnouncement(AuthenticationMethod(rawValue: entry.first ?? 0))
            announcement.authority = entry.dropFirst().first ?? 0
            announcement.algorithm = Array(entry.dropFirst(2))
            list.append(announcement)
        }
        return list
    }

    /// SUPPORTED_AUTH_METHODS with these, the preferred first.
    public static func notify(_ list: [AuthenticationAnnouncement]) -> NotifyPayload {
        NotifyPayload(.supportedAuthMethods, list.flatMap(\.bytes))
    }
}
