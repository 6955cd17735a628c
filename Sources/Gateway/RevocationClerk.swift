import Clockwork
import Fetching
import GatewayModel
import IKECore
import IPsecCrypto
import LinuxSystem
import SwanctlConfig
import Trust
import WireFormat

/// Finds out about peers' certificates: looks into what is known, asks for what is missing, decides.
///
/// It owns the cases that are open and the cache, on one thread. Responders are asked before lists are fetched, and lists
/// before what has changed since. It never waits: what is fetched comes back by ``fetched(_:_:)``.
final class RevocationClerk {
    /// What is fetched: once, however many cases need it.
    enum Source: Hashable {
        case list(RevocationCase.Place)
        case responder(RevocationCase.Place, RevocationCache.Name)
    }

    private final class Open {
        let question: RevocationCase
        let completion: @Sendable (Answer) -> Void
        let deadline: Instant
        var index = 0
        var tried: Set<Source> = []
        var reasons: [String] = []
        var own = PeerCertificate.Revocation.notChecked

        init(_ question: RevocationCase, _ deadline: Instant, _ completion: @escaping @Sendable (Answer) -> Void) {
            self.question = question
            self.deadline = deadline
            self.completion = completion
        }

        var certificate: Certificate { question.chain[index] }
        var issuer: Certificate { question.chain[index + 1] }
    }

    private enum Finding {
        case good(String), revoked(String), unknown(String)
        case ask(Source, FetchRequest, OCSPQuestion?)
    }

    /// Cases at the same time.
    static let mostOpen = 4096

    private let fetch: (Source, FetchRequest) -> Void
    private let moment: () -> Int64
    private let clock: () -> Instant
    private var entropy = SystemEntropy()
    private(set) var cache = RevocationCache()
    private var open: [UInt64: Open] = [:]
    private var last: UInt64 = 0
    /// Who waits for what, in the order in which they came, and which question a responder was asked.
    private var waiting: [Source: (cases: [UInt64], question: OCSPQuestion?)] = [:]
    /// Whose signatures on lists have been looked at: that takes long for a large list.
    private var signatures: [ObjectIdentifier: (list: RevocationList, issuer: [UInt8], isTrue: Bool)] = [:]

    /// A clerk who has things fetched by `fetch`.
    init(
        moment: @escaping () -> Int64, clock: @escaping () -> Instant, fetch: @escaping (Source, FetchRequest) -> Void
    ) {
        self.moment = moment
        self.clock = clock
        self.fetch = fetch
    }

    /// When ``expire()`` has something to do.
    var nextDeadline: Instant? { open.values.map(\.deadline).min() }

    /// Opens a case; `completion` is called once, perhaps at once.
    func judge(_ question: RevocationCase, _ completion: @escaping @Sendable (Answer) -> Void) {
        let one = Open(question, clock() + question.settings.patience, completion)
        last += 1
        open[last] = one
        if open.count > Self.mostOpen { one.tried = allSources(one) }
        advance(last)
    }

    /// Something was fetched, or could not be.
    func fetched(_ source: Source, _ outcome: FetchOutcome) {
        guard let (cases, question) = waiting.removeValue(forKey: source) else { return }
        switch (source, question) {
        case (.list(let place), _): take(outcome, place, cases)
        case (.responder(let place, let name), let question?): take(outcome, place, name, question, cases)
        case (.responder, nil): break
        }
        for id in cases { advance(id) }
    }

    /// Decides cases that have waited long enough.
    func expire() {
        let now = clock()
        for (id, one) in open.sorted(by: { $0.key < $1.key }) where one.deadline <= now {
            one.reasons.append("nobody answered in time")
            // Nothing more is asked.
            one.tried = allSources(one)
            advance(id)
        }
    }

    /// Forgets what was fetched.
    func flush(lists: Bool, answers: Bool) { cache.flush(lists: lists, answers: answers) }

    // MARK: Deciding

    private func advance(_ id: UInt64) {
        guard let one = open[id] else { return }
        while one.index < one.question.chain.count - 1 {
            switch look(one) {
            case .ask(let source, let request, let question):
                one.tried.insert(source)
                if waiting[source] != nil {
                    waiting[source]?.cases.append(id)
                } else {
                    waiting[source] = ([id], question)
                    fetch(source, request)
                }
                return
            case .revoked(let source):
                close(id, .untrusted(.revoked(subject: one.certificate.name, source: source)))
                return
            case .good(let source): if one.index == 0 { one.own = .good(source: source) }
            case .unknown(let reason):
                if one.question.insists(at: one.index) {
                    close(id, .untrusted(.revocationUnknown(subject: one.certificate.name, reason: reason)))
                    return
                }
                if one.index == 0 { one.own = .unknown(reason: reason) }
            }
            one.index += 1
            one.reasons = []
        }
        var facts = one.question.facts
        facts.revocation = one.own
        close(id, .certified(facts))
    }

    private func close(_ id: UInt64, _ answer: Answer) { open.removeValue(forKey: id)?.completion(answer) }

    private func look(_ one: Open) -> Finding {
        let (question, now, moment) = (one.question, clock(), moment())
        let name = RevocationCache.Name(one.certificate, one.issuer)
        let places = question.places(.revocationList, at: one.index)
        let changes = question.places(.delta, at: one.index)
        let check = RevocationCheck(lists: question.lists + (places + changes).compactMap { cache.list($0.uri) })
        let listed = check.status(of: question.chain, at: one.index, moment: moment, isSigned: isSigned)
        if case .revoked(let source) = listed { return .revoked(source) }
        if let word = cache.word(name, moment: moment) {
            return word.isRevoked ? .revoked(word.source) : .good(word.source)
        }
        if let finding = sent(one, name, moment) { return finding }
        if question.settings.asksResponders, let finding = askResponder(one, name, now) { return finding }
        if question.settings.fetchesLists {
            let isGood = if case .good = listed { true } else { false }
            for place in (isGood ? [] : places) + changes where !isFresh(place.uri, moment) {
                if let finding = ask(one, .list(place), place, now) { return finding }
            }
        }
        switch listed {
        case .good(let source): return .good(source)
        case .revoked(let source): return .revoked(source)
        case .unknown(let reason): return .unknown((one.reasons + [reason]).joined(separator: "; "))
        }
    }

    private func isFresh(_ uri: String, _ moment: Int64) -> Bool {
        cache.list(uri).map { $0.validity.next >= moment } ?? false
    }

    /// What an answer says that the peer brought itself.
    private func sent(_ one: Open, _ name: RevocationCache.Name, _ moment: Int64) -> Finding? {
        let question = OCSPQuestion(one.certificate, issuer: one.issuer, nonce: [])
        for answer in one.question.answers {
            switch question.verdict(on: answer, responders: one.question.responders, moment: moment) {
            case .good: return .good("an OCSP answer that the peer brought")
            case .revoked: return .revoked("an OCSP answer that the peer brought")
            case .useless: continue
            }
        }
        return nil
    }

    private func askResponder(_ one: Open, _ name: RevocationCache.Name, _ now: Instant) -> Finding? {
        for place in one.question.places(.responder, at: one.index) {
            if let finding = ask(one, .responder(place, name), place, now) { return finding }
        }
        return nil
    }

    /// Asks a place that has not been asked about this certificate, unless it failed just now.
    private func ask(
        _ one: Open, _ source: Source, _ place: RevocationCase.Place, _ now: Instant
    ) -> Finding? {
        guard !one.tried.contains(source) else { return nil }
        if let reason = cache.failure(label(source), now: now) {
            one.tried.insert(source)
            one.reasons.append("\(place.uri): \(reason)")
            return nil
        }
        let settings = one.question.settings
        guard case .responder = source else {
            return .ask(
                source, FetchRequest(place.uri, limit: settings.largestList, mayBePrivate: place.mayBePrivate), nil)
        }
        let question = OCSPQuestion(one.certificate, issuer: one.issuer, nonce: entropy.bytes(32))
        var request = FetchRequest(place.uri, limit: OCSPQuestion.longestAnswer, mayBePrivate: place.mayBePrivate)
        guard let body = question.request else { return nil }
        request.body = body
        request.bodyType = OCSPQuestion.requestType
        return .ask(source, request, question)
    }

    private func label(_ source: Source) -> String {
        switch source {
        case .list(let place): "\(place.mayBePrivate) \(place.uri)"
        case .responder(let place, let name): "\(place.mayBePrivate) \(place.uri) \(Hex.encode(name.serial))"
        }
    }

    private func allSources(_ one: Open) -> Set<Source> {
        var all: Set<Source> = []
        for index in one.question.chain.indices.dropLast() {
            let name = RevocationCache.Name(one.question.chain[index], one.question.chain[index + 1])
            for place in one.question.places(.responder, at: index) { all.insert(.responder(place, name)) }
            let lists = one.question.places(.revocationList, at: index) + one.question.places(.delta, at: index)
            for place in lists { all.insert(.list(place)) }
        }
        return all
    }

    // MARK: What was fetched

    private func tell(_ cases: [UInt64], _ source: Source, _ place: RevocationCase.Place, _ reason: String) {
        cache.fail(label(source), reason, now: clock())
        for id in cases { open[id]?.reasons.append("\(place.uri): \(reason)") }
    }

    private func take(_ outcome: FetchOutcome, _ place: RevocationCase.Place, _ cases: [UInt64]) {
        let source = Source.list(place)
        let octets: [UInt8]
        switch outcome {
        case .failure(let problem): return tell(cases, source, place, problem.description)
        case .success(let body): octets = body
        }
        guard let list = try? RevocationList(file: octets) else {
            return tell(cases, source, place, "what is there is not a revocation list")
        }
        // A list that is not the issuer's own is not kept: anybody may answer on the way.
        let asker = cases.lazy.compactMap { self.open[$0] }.first { self.isSigned(list, $0.issuer) }
        guard let asker else { return tell(cases, source, place, "the list is not signed by the certificate's issuer") }
        cache.keep(list, from: place.uri, octets: octets.count)
        if list.validity.next < moment() { tell(cases, source, place, "the list is out of date") }
        if let directory = asker.question.settings.cacheDirectory {
            let kind = list.base == nil ? "" : "-delta"
            let name = "\(directory)/\(Hex.encode(asker.issuer.key.subjectKeyIdentifier))\(kind).crl"
            // What can't be kept is fetched again.
            try? RawFile.write(name, octets, mode: 0o644)
        }
    }

    private func take(
        _ outcome: FetchOutcome, _ place: RevocationCase.Place, _ name: RevocationCache.Name,
        _ question: OCSPQuestion, _ cases: [UInt64]
    ) {
        let source = Source.responder(place, name)
        switch outcome {
        case .failure(let problem): tell(cases, source, place, problem.description)
        case .success(let answer):
            let responders = cases.lazy.compactMap { self.open[$0]?.question.responders }.first ?? []
            let now = moment()
            let told = "the OCSP responder \(place.uri)"
            switch question.verdict(on: answer, responders: responders, moment: now) {
            case .good(let until):
                cache.keep(.init(isRevoked: false, until: min(until, now + 86_400), source: told), about: name)
            case .revoked: cache.keep(.init(isRevoked: true, until: now + 3600, source: told), about: name)
            case .useless(let reason): tell(cases, source, place, reason)
            }
        }
    }

    private func isSigned(_ list: RevocationList, _ issuer: Certificate) -> Bool {
        let key = ObjectIdentifier(list)
        if let known = signatures[key], known.issuer == issuer.key.info { return known.isTrue }
        let isTrue = list.isSigned(by: issuer)
        // Kept alive here, so that its identity is nobody else's.
        if signatures.count >= 512 { signatures = [:] }
        signatures[key] = (list, issuer.key.info, isTrue)
        return isTrue
    }
}
