/// Something to be fetched by HTTP, and how much of anything it may cost.
public struct FetchRequest: Hashable, Sendable {
    /// Where: `http:` or `https:`.
    public var url: String
    /// What is posted; nil to get.
    public var body: [UInt8]?
    /// The media type of what is posted.
    public var bodyType: String
    /// Octets of the answer at most.
    public var limit: Int
    /// Whether it may be at an address that is nobody's but ours: loopback, private, link-local.
    public var mayBePrivate: Bool

    /// Something to be fetched.
    public init(_ url: String, limit: Int, mayBePrivate: Bool) {
        self.url = url
        self.limit = limit
        self.mayBePrivate = mayBePrivate
        bodyType = ""
    }

    /// The host and port, by which servers are told from each other; the whole address where there is none.
    var host: String {
        guard let start = url.range(of: "://")?.upperBound else { return url.lowercased() }
        let authority = url[start...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        return authority.split(separator: "@").last.map { $0.lowercased() } ?? url.lowercased()
    }
}

extension String {
    /// Where `other` stands first.
    fileprivate func range(of other: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(other) { return start..<index(start, offsetBy: other.count) }
            start = index(after: start)
        }
        return nil
    }
}

/// Why something could not be fetched.
public enum FetchProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// It is larger than is accepted, in octets.
    case tooLarge(limit: Int)
    /// It is at an address where we don't go.
    case privateAddress
    /// No answer in time, in milliseconds.
    case timedOut(milliseconds: Int)
    /// There is no way to the server.
    case unreachable(String)
    /// The server did not answer lately, and is left alone for a while; why.
    case isDown(String)
    /// The server says no: the HTTP status.
    case refused(status: Int)
    /// Too much is being fetched already.
    case busy
    /// We are stopping.
    case stopped
    /// Something else, in the library's words.
    case failed(String)

    /// One clause.
    public var description: String {
        switch self {
        case .tooLarge(let limit): "it is larger than \(limit) octets"
        case .privateAddress: "it is at a private address, where a certificate may not send us"
        case .timedOut(let milliseconds): "there was no answer in \(milliseconds / 1000) s"
        case .unreachable(let words): "there is no way there (\(words))"
        case .isDown(let words): "the server failed a moment ago (\(words))"
        case .refused(let status): "the server answers \(status)"
        case .busy: "too much is being fetched already"
        case .stopped: "the gateway is stopping"
        case .failed(let words): words
        }
    }

    /// Whether the server itself seems to be out of order, so that nobody else need wait for it.
    var speaksOfServer: Bool {
        switch self {
        case .timedOut, .unreachable: true
        default: false
        }
    }
}

/// What a fetch came to.
public typealias FetchOutcome = Result<[UInt8], FetchProblem>
