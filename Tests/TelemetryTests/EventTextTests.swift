import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes
import Telemetry
import Testing

@Suite struct EventTextTests {
    struct Sample: Sendable, CustomTestStringConvertible {
        var kind: Event.Kind
        var line: String
        var testDescription: String { line }
    }

    private static let child = ChildSASummary(
        id: ChildSAID(rawValue: 3), name: "net", state: .installed, mode: .tunnel, encapsulation: .udp, inboundSPI: 1,
        outboundSPI: 2, algorithms: Proposal(.esp, [.aes256gcm16]), localSelectors: Samples.left,
        remoteSelectors: Samples.right)

    private static let established: IKESASummary = {
        var summary = IKESASummary(
            id: IKESAID(rawValue: 1), connection: "branch", state: .established, isInitiator: true, initiatorSPI: 1,
            responderSPI: 2, path: Samples.path)
        summary.localIdentity = Samples.hq
        summary.remoteIdentity = Samples.branch
        summary.algorithms = Samples.ours
        return summary
    }()

    static let samples: [Sample] = [
        Sample(kind: .ikeStateChanged(from: .created, to: .connecting), line: "IKE2 state CREATED → CONNECTING"),
        Sample(
            kind: .ikeEstablished(established),
            line: "IKE1 IKE SA established between 192.0.2.1[hq.example] and 198.51.100.2[branch.example], "
                + "\(Samples.ours)"),
        Sample(kind: .ikeClosed(.byPeer), line: "IKE1 IKE SA closed: deleted by the peer"),
        Sample(kind: .ikeProposalChosen(Samples.ours), line: "IKE2 chose \(Samples.ours)"),
        Sample(kind: .natDetected(local: true, remote: true), line: "IKE2 a NAT hides both ends"),
        Sample(kind: .natDetected(local: true, remote: false), line: "IKE2 a NAT hides us"),
        Sample(kind: .natDetected(local: false, remote: true), line: "IKE2 a NAT hides the peer"),
        Sample(kind: .natDetected(local: false, remote: false), line: "IKE2 no NAT on the way"),
        Sample(
            kind: .pathChanged(from: Samples.path, to: Samples.path.reversed),
            line: "IKE1 path changed from \(Samples.path) to \(Samples.path.reversed)"),
        Sample(
            kind: .childInstalled(child),
            line: "CHD1 child 'net' installed: 10.1.0.1/32 === 10.2.0.2/32, \(child.algorithms)"),
        Sample(kind: .childClosed(child, .asked), line: "CHD1 child 'net' closed: asked for here"),
        Sample(
            kind: .refused(.planeRefused(reason: "no room"), child: "net"),
            line:
                "CHD0 E-DATA-PLANE: The tunnel was agreed on, but this system would not carry it. The data plane says: "
                + "no room. Correct that, then bring the tunnel up again."),
        Sample(
            kind: .sent("IKE_AUTH request 1", bytes: 99, Samples.path),
            line:
                "NET2 sent IKE_AUTH request 1 (99 octets) 192.0.2.1[500] → 198.51.100.2[4500]"),
        Sample(
            kind: .received("IKE_AUTH response 1", bytes: 99, Samples.path),
            line:
                "NET2 received IKE_AUTH response 1 (99 octets) 198.51.100.2[4500] → 192.0.2.1[500]"),
        Sample(
            kind: .retransmitted(exchange: "IKE_AUTH", messageID: 1, attempt: 2),
            line: "IKE1 no answer to IKE_AUTH request 1 yet, sent again (2)"),
        Sample(kind: .answeredAgain(messageID: 4), line: "IKE2 request 4 came again and got the same answer"),
        Sample(
            kind: .dropped(.forged, Samples.path),
            line: "NET3 dropped from 198.51.100.2[4500]: its integrity check failed"),
        Sample(
            kind: .dropped(.malformed("IKE header: short"), Samples.path),
            line: "NET3 dropped from 198.51.100.2[4500]: IKE header: short"),
        Sample(
            kind: .dropped(.outsideWindow(messageID: 7), Samples.path),
            line: "NET3 dropped from 198.51.100.2[4500]: message ID 7 lies outside the window"),
        Sample(
            kind: .dropped(.unknownSPI, Samples.path),
            line: "NET3 dropped from 198.51.100.2[4500]: its SPIs are nobody's"),
        Sample(kind: .dropped(.unexpected("why"), Samples.path), line: "NET3 dropped from 198.51.100.2[4500]: why"),
        Sample(
            kind: .dropped(.tooManyHalfOpen, Samples.path),
            line: "NET3 dropped from 198.51.100.2[4500]: too many half-open IKE SAs"),
        Sample(
            kind: .dropped(.rateLimited, Samples.path),
            line: "NET3 dropped from 198.51.100.2[4500]: too many answers of this kind"),
        Sample(kind: .cookieDemanded(byUs: true), line: "IKE1 many half-open IKE SAs: asked for a cookie"),
        Sample(kind: .cookieDemanded(byUs: false), line: "IKE1 the peer asks for a cookie"),
        Sample(
            kind: .keyExchangeRetried(from: .x25519, to: .ecp256),
            line: "IKE1 the peer wants \(Transform.ecp256) in place of \(Transform.x25519) for the key exchange"),
        Sample(kind: .peerAlive, line: "IKE2 the peer answers"),
        Sample(
            kind: .leftOut(7), line: "IKE1 7 more about peers that have not proved who they are, which nobody was told"),
    ]

    /// The quick look at an event's level never hides what the words' level would show.
    @Test(arguments: samples)
    func noEventIsHiddenByItsQuickLook(_ sample: Sample) {
        let event = Event(time: .zero, ikeSA: nil, connection: nil, kind: sample.kind)
        #expect(EventText.mayConcern(level: EventText(event).level, sample.kind))
    }

    @Test func aQuietLogPutsNoMessageIntoWords() {
        let sent = Event.Kind.sent("IKE_AUTH request 1", bytes: 99, Samples.path)
        #expect(!EventText.mayConcern(level: 1, sent))
        #expect(EventText.mayConcern(level: EventText.messageLevel, sent))
    }

    @Test(arguments: samples) func everyEventHasItsLine(_ sample: Sample) {
        let text = EventText(Event(time: .zero, ikeSA: nil, connection: nil, kind: sample.kind))
        #expect("\(text.group.rawValue)\(text.level) \(text.text)" == sample.line)
    }

    @Test func everyReasonForAnEndHasWords() {
        let reasons: [Event.CloseReason] = [
            .asked, .byPeer, .failed(.noSecret(local: Samples.hq, remote: Samples.branch)), .peerDead, .ikeSAEnded,
            .expired,
            .replaced, .shutdown,
        ]
        let words = reasons.map(EventText.describe)
        #expect(Set(words).count == reasons.count)
        #expect(words.allSatisfy { $0.count > 8 })
    }

    @Test func anEventIsOneHarmlessLine() {
        let text = EventText(
            Event(
                time: .zero, ikeSA: nil, connection: nil,
                kind: .sent("a\nb\u{1b}[1m\u{9b}\u{85}", bytes: 1, Samples.path)))
        #expect(text.text.hasPrefix("sent a\\u{a}b\\u{1b}[1m\\u{9b}\\u{85} (1 octets)"))
    }

    @Test func onlyWhatSteersIsChanged() {
        #expect(Printable.text("plain, \"quoted\" → ü 漢 '' \\") == "plain, \"quoted\" → ü 漢 '' \\")
        #expect(Printable.text("a\tb\u{7f}\u{2066}") == "a\\u{9}b\\u{7f}\\u{2066}")
    }
}
