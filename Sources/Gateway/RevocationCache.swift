import Clockwork
import IKECore
import Trust

/// What has been learnt about revocation and holds for a while: lists by their place, answers by certificate, failures.
///
/// It owns how much of it is kept. It never fetches.
struct RevocationCache {
    /// Octets of all lists together, as they came, and how many lists and answers.
    private static let mostOctets = 128 << 20
    private static let mostLists = 256
    private static let mostAnswers = 4096
    /// How long a failure counts, so that nobody knocks at every handshake.
    private static let failurePause = Interval.seconds(10)

    /// A responder's word about a certificate.
    struct Word {
        let isRevoked: Bool
        /// In seconds since 1970.
        let until: Int64
        let source: String
    }

    /// One certificate as its issuer counts it.
    struct Name: Hashable {
        let issuer: [UInt8]
        let serial: [UInt8]

        init(_ certificate: Certificate, _ issuer: Certificate) {
            self.issuer = issuer.key.info
            serial = certificate.serial
        }
    }

    private var lists: [(uri: String, list: RevocationList, octets: Int)] = []
    private var words: [Name: Word] = [:]
    private var order: [Name] = []
    private var failures: [String: (until: Instant, reason: String)] = [:]

    /// The list that came from a place.
    func list(_ uri: String) -> RevocationList? { lists.first { $0.uri == uri }?.list }

    /// All lists, the oldest first.
    var allLists: [RevocationList] { lists.map(\.list) }

    /// Keeps a list; the oldest go when there are too many.
    mutating func keep(_ list: RevocationList, from uri: String, octets: Int) {
        lists.removeAll { $0.uri == uri }
        lists.append((uri, list, octets))
        while lists.count > Self.mostLists || lists.reduce(0, { $0 + $1.octets }) > Self.mostOctets, lists.count > 1 {
            lists.removeFirst()
        }
    }

    /// What a responder said, as long as it holds.
    func word(_ name: Name, moment: Int64) -> Word? { words[name].flatMap { $0.until >= moment ? $0 : nil } }

    /// Keeps what a responder said.
    mutating func keep(_ word: Word, about name: Name) {
        if words.updateValue(word, forKey: name) == nil { order.append(name) }
        if order.count > Self.mostAnswers { words[order.removeFirst()] = nil }
    }

    /// Why a place was of no use a moment ago.
    func failure(_ place: String, now: Instant) -> String? {
        failures[place].flatMap { $0.until > now ? $0.reason : nil }
    }

    /// A place was of no use.
    mutating func fail(_ place: String, _ reason: String, now: Instant) {
        if failures.count >= 4096 { failures = failures.filter { $0.value.until > now } }
        if failures.count >= 4096 { failures = [:] }
        failures[place] = (now + Self.failurePause, reason)
    }

    /// Forgets lists or answers or both.
    mutating func flush(lists: Bool, answers: Bool) {
        if lists { self.lists = [] }
        if answers { (words, order) = ([:], []) }
        failures = [:]
    }
}
