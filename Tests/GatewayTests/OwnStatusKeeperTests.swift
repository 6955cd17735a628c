import Clockwork
import Fetching
import IKEMessages
import SwanctlConfig
import Synchronization
import Testing
import Trust

@testable import Gateway

/// OCSP answers about our own certificates (RFC 4806): who is asked, what is kept, and who waits for it.
@Suite struct OwnStatusKeeperTests {
    private final class Told: Sendable {
        let brought = Mutex<[[CertificatePayload]]>([])
    }

    /// A keeper whose fetches the test answers.
    private final class Desk {
        var now = Instant.zero + .seconds(100)
        var moment = StatusFixture.moment
        var asked: [(source: OwnStatusKeeper.Source, request: FetchRequest)] = []
        private let told = Told()
        private(set) var keeper: OwnStatusKeeper?
        private let chain: RevocationCase

        init() throws {
            let certificates = [
                try Certificate(der: StatusFixture.peer), try Certificate(der: StatusFixture.root),
            ]
            chain = RevocationCase(own: certificates, Credentials(), [], RevocationSettings())
            keeper = OwnStatusKeeper(moment: { [unowned self] in moment }, clock: { [unowned self] in now }) {
                [unowned self] source, request in asked.append((source, request))
            }
        }

        func bring() {
            keeper?.bring(chain) { [told] payloads in told.brought.withLock { $0.append(payloads) } }
        }

        func answer(_ outcome: FetchOutcome) {
            guard !asked.isEmpty else { return }
            let first = asked.removeFirst()
            keeper?.fetched(first.source, outcome)
        }

        /// How many answers each of those who asked got.
        var counts: [Int] { told.brought.withLock { $0.map(\.count) } }
        var last: CertificatePayload? { told.brought.withLock { $0.last?.first } }
    }

    @Test("An answer is fetched once for many, without a nonce, and shown to those who come later")
    func keeps() throws {
        let desk = try Desk()
        for _ in 0..<100 { desk.bring() }
        #expect(desk.asked.map(\.request.url) == ["http://ocsp.lab/"] && desk.counts.isEmpty)
        // Our own certificate may send us anywhere.
        #expect(desk.asked.first?.request.mayBePrivate == true)
        #expect(desk.asked.first?.request.body.map { $0.count < 130 } == true)
        desk.answer(.success(StatusFixture.answer))
        #expect(desk.counts == Array(repeating: 1, count: 100))
        #expect(desk.last == CertificatePayload(.ocsp, StatusFixture.answer))
        desk.bring()
        #expect(desk.counts.count == 101 && desk.counts.last == 1 && desk.asked.isEmpty)
    }

    @Test("In the second half of its time a fresh answer is fetched, and nobody waits for it; an old one is not shown")
    func renews() throws {
        let desk = try Desk()
        desk.bring()
        desk.answer(.success(StatusFixture.answer))
        desk.moment = StatusFixture.until - 1000
        desk.bring()
        #expect(desk.counts == [1, 1] && desk.asked.count == 1)
        desk.bring()
        #expect(desk.counts == [1, 1, 1] && desk.asked.count == 1)
        desk.answer(.failure(.timedOut(milliseconds: 1)))
        desk.moment = StatusFixture.until + 1
        desk.bring()
        // The place failed a moment ago: the proof goes without.
        #expect(desk.counts == [1, 1, 1, 0] && desk.asked.isEmpty)
    }

    @Test("What is no good answer is not shown, and its place is left alone for a while")
    func rubbish() throws {
        let desk = try Desk()
        desk.bring()
        desk.answer(.success(Array("no".utf8)))
        #expect(desk.counts == [0])
        desk.bring()
        #expect(desk.counts == [0, 0] && desk.asked.isEmpty)
        desk.now = desk.now + .seconds(31)
        desk.bring()
        #expect(desk.asked.count == 1)
    }

    @Test("A proof waits three seconds at most, and what comes later is kept for the next")
    func patience() throws {
        let desk = try Desk()
        desk.bring()
        #expect(desk.keeper?.nextDeadline == desk.now + .seconds(3))
        desk.now = desk.now + .seconds(2)
        desk.keeper?.expire()
        #expect(desk.counts.isEmpty)
        desk.now = desk.now + .seconds(1)
        desk.keeper?.expire()
        #expect(desk.counts == [0] && desk.keeper?.nextDeadline == nil)
        desk.answer(.success(StatusFixture.answer))
        desk.bring()
        #expect(desk.counts == [0, 1])
        desk.keeper?.flush()
        desk.bring()
        #expect(desk.counts == [0, 1] && desk.asked.count == 1)
    }
}
