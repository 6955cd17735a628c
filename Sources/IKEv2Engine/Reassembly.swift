import IKEMessages

/// The fragments of messages that are not complete yet: at most one request and one response, since the window size is
/// one (RFC 7383 §2.6).
///
/// It owns fragments that the keys have opened, and nothing else gets in. It never holds more than its bounds, and never
/// decides whether a message is awaited.
struct Reassembly {
    /// What became of a fragment.
    enum Outcome {
        /// Others are still missing.
        case kept
        /// It was the last one that was missing: here are all.
        case complete([OpenedFragment])
        /// It is dropped; the clause says why.
        case refused(String)
    }

    /// The most fragments of one message.
    static let maximumFragments = 255
    /// The most octets of one message from a peer that has proved nothing yet.
    static let maximumBeforeAuthentication = 32_768

    /// One message.
    private struct Parts {
        let header: IKEHeader
        let total: UInt16
        var fragments: [OpenedFragment] = []
        var count = 0
    }

    private var request: Parts?
    private var response: Parts?

    /// Whether nothing is held.
    var isEmpty: Bool { request == nil && response == nil }

    /// Octets held.
    var count: Int { (request?.count ?? 0) + (response?.count ?? 0) }

    /// Whether a fragment is one that is held already, so that it need not be opened.
    func holds(_ place: EncryptedPayload.Fragment, of header: IKEHeader) -> Bool {
        guard let parts = header.isResponse ? response : request, parts.header == header, parts.total == place.total
        else { return false }
        return parts.fragments.contains { $0.place.number == place.number }
    }

    /// Takes a fragment of the message that is awaited. A message that comes in more fragments than before was cut anew,
    /// and begins again (RFC 7383 §2.5.2, §2.6).
    mutating func add(_ fragment: OpenedFragment, limit: Int) -> Outcome {
        let isResponse = fragment.header.isResponse
        var parts = (isResponse ? response : request) ?? Parts(header: fragment.header, total: fragment.place.total)
        if parts.header != fragment.header || parts.total < fragment.place.total {
            parts = Parts(header: fragment.header, total: fragment.place.total)
        }
        guard parts.total == fragment.place.total else { return .refused("a fragment of an earlier cut") }
        guard !parts.fragments.contains(where: { $0.place.number == fragment.place.number }) else {
            return .refused("a fragment that is here already")
        }
        guard Int(parts.total) <= Self.maximumFragments, parts.count + fragment.count <= limit else {
            put(nil, isResponse)
            return .refused("a message of too many fragments")
        }
        parts.fragments.append(fragment)
        parts.count += fragment.count
        guard parts.fragments.count == Int(parts.total) else {
            put(parts, isResponse)
            return .kept
        }
        put(nil, isResponse)
        return .complete(parts.fragments)
    }

    private mutating func put(_ parts: Parts?, _ isResponse: Bool) {
        if isResponse { response = parts } else { request = parts }
    }
}
