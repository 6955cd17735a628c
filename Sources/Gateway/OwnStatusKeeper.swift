import Clockwork
import Fetching
import IKEMessages
import SwanctlConfig
import Trust

/// OCSP answers about our own certificates, for peers that ask for them beside the certificates (RFC 4806).
///
/// It owns the answers that are kept, and whoever waits for one, on the revocation thread. It brings only what is signed
/// by somebody who may, says whether a certificate is revoked, and is of now: anything else helps nobody. It never waits
/// long: a proof without such an answer may still do for the peer, which can ask by itself.
final class OwnStatusKeeper {
    /// Where one certificate is asked about.
    struct Source: Hashable {
        let place: RevocationCase.Place
        let name: RevocationCache.Name
    }

    private struct Kept {
        let answer: [UInt8]
        /// In seconds since 1970.
        let since: Int64
        let until: Int64
    }

    private struct Waiting {
        let chain: RevocationCase
        let deadline: Instant
        let completion: @Sendable ([CertificatePayload]) -> Void
    }

    private struct Asked {
        let question: OCSPQuestion
        let responders: [Certificate]
    }

    /// How long a proof is held up for an answer that is not there yet. Peers repeat their requests meanwhile.
    static let patience = Interval.seconds(3)
    /// How long a place that was of no use is left alone.
    private static let failurePause = Interval.seconds(30)
    /// How long, in seconds, an answer that our own certificate is revoked is shown before it is asked for again.
    private static let revocationPause: Int64 = 3600
    /// Answers that are kept, and proofs that may wait.
    private static let mostKept = 256
    private static let mostWaiting = 4096
    /// Certificates of one chain that are asked about: our own, and those between it and its authority.
    private static let mostCertificates = 4

    private let fetch: (Source, FetchRequest) -> Void
    private let moment: () -> Int64
    private let clock: () -> Instant
    private var kept: [RevocationCache.Name: Kept] = [:]
    private var order: [RevocationCache.Name] = []
    private var asked: [Source: Asked] = [:]
    private var failures: [Source: Instant] = [:]
    private var waiting: [Waiting] = []

    /// A keeper who has things fetched by `fetch`.
    init(
        moment: @escaping () -> Int64, clock: @escaping () -> Instant, fetch: @escaping (Source, FetchRequest) -> Void
    ) {
        self.moment = moment
        self.clock = clock
        self.fetch = fetch
    }

    /// When ``expire()`` has something to do.
    var nextDeadline: Instant? { waiting.map(\.deadline).min() }

    /// Brings the answers for a chain of ours; `completion` is called once, perhaps at once, perhaps with none.
    func bring(_ chain: RevocationCase, _ completion: @escaping @Sendable ([CertificatePayload]) -> Void) {
        let isComplete = ask(chain)
        guard !isComplete, waiting.count < Self.mostWaiting else { return completion(payloads(chain)) }
        waiting.append(Waiting(chain: chain, deadline: clock() + Self.patience, completion: completion))
    }

    /// Something was fetched, or could not be.
    func fetched(_ source: Source, _ outcome: FetchOutcome) {
        guard let asked = asked.removeValue(forKey: source) else { return }
        switch outcome {
        case .success(let answer):
            switch asked.question.verdict(on: answer, responders: asked.responders, moment: moment()) {
            case .good(let until): keep(answer, source.name, until)
            case .revoked: keep(answer, source.name, moment() + Self.revocationPause)
            case .useless: fail(source)
            }
        case .failure: fail(source)
        }
        // Where this place was of no use the next one is asked.
        settle { !ask($0.chain) }
    }

    private func fail(_ source: Source) {
        if failures.count >= Self.mostKept { failures = [:] }
        failures[source] = clock() + Self.failurePause
    }

    /// Gives up for those who have waited long enough. What is under way goes on, for the next.
    func expire() {
        let now = clock()
        settle { $0.deadline > now }
    }

    /// Forgets what was fetched.
    func flush() { (kept, order, failures) = ([:], [], [:]) }

    private func settle(_ waits: (Waiting) -> Bool) {
        let before = waiting
        waiting = []
        for one in before {
            if waits(one) { waiting.append(one) } else { one.completion(payloads(one.chain)) }
        }
    }

    private func keep(_ answer: [UInt8], _ name: RevocationCache.Name, _ until: Int64) {
        if kept.updateValue(Kept(answer: answer, since: moment(), until: until), forKey: name) == nil {
            order.append(name)
        }
        if order.count > Self.mostKept { kept[order.removeFirst()] = nil }
    }

    /// Asks for what is missing; whether nothing more is to be waited for.
    private func ask(_ chain: RevocationCase) -> Bool {
        var isComplete = true
        for index in chain.chain.indices.dropLast().prefix(Self.mostCertificates) {
            let name = RevocationCache.Name(chain.chain[index], chain.chain[index + 1])
            let now = moment()
            if let known = kept[name], known.until > now {
                // In the second half of its time a fresh one is fetched, and nobody waits for it.
                if now > known.since + (known.until - known.since) / 2 { _ = ask(chain, index, name) }
                continue
            }
            if ask(chain, index, name) { isComplete = false }
        }
        return isComplete
    }

    /// Asks the first place that was not of no use a moment ago; whether an answer may come.
    private func ask(_ chain: RevocationCase, _ index: Int, _ name: RevocationCache.Name) -> Bool {
        for place in chain.places(.responder, at: index) {
            let source = Source(place: place, name: name)
            if asked[source] != nil { return true }
            if let until = failures[source], until > clock() { continue }
            // Without a nonce: what comes is shown to many.
            let question = OCSPQuestion(chain.chain[index], issuer: chain.chain[index + 1], nonce: [])
            guard let body = question.request else { continue }
            // What our own certificate says about where to ask is as good as the configuration.
            var request = FetchRequest(place.uri, limit: OCSPQuestion.longestAnswer, mayBePrivate: true)
            request.body = body
            request.bodyType = OCSPQuestion.requestType
            asked[source] = Asked(question: question, responders: chain.responders)
            fetch(source, request)
            return true
        }
        return false
    }

    private func payloads(_ chain: RevocationCase) -> [CertificatePayload] {
        let now = moment()
        return chain.chain.indices.dropLast().prefix(Self.mostCertificates).compactMap { index in
            let name = RevocationCache.Name(chain.chain[index], chain.chain[index + 1])
            return kept[name].flatMap { $0.until > now ? CertificatePayload(.ocsp, $0.answer) : nil }
        }
    }
}
