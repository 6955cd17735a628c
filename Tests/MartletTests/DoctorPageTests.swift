import Testing
import ViciMessages

@testable import martlet

struct DoctorPageTests {
    private func page(_ send: (Int) -> DoctorPage.Fate) -> DoctorPage.Finding? {
        var page = DoctorPage()
        page.largestPacket(to: "10.2.0.1", send: send)
        return page.findings.first
    }

    @Test func silentLossOfLongPacketsIsABlackHole() throws {
        let finding = try #require(page { $0 <= 1172 ? .answered : .lost })
        #expect(finding.verdict == .broken && finding.code == "E-MTU")
        #expect(finding.text.contains("1172 octets arrive, 1173 do not"))
    }

    @Test func aPathThatSaysHowLongIsWell() throws {
        let finding = try #require(page { $0 <= 1172 ? .answered : .refused })
        #expect(finding.verdict == .well && finding.text.contains("up to 1172 octets"))
    }

    @Test func onePacketThatGetsLostProvesNothing() throws {
        var number = 0
        let finding = try #require(
            page { size in
                number += 1
                return number == 3 ? .lost : size <= 1400 ? .answered : .refused
            })
        #expect(finding.verdict == .well && finding.text.contains("up to 1400 octets"))
    }

    @Test func aHostThatDoesNotAnswerAtAll() throws {
        let finding = try #require(page { _ in .lost })
        #expect(finding.verdict == .broken && finding.code == nil && finding.text.contains("small ping"))
    }

    @Test func ourOwnCertificateTellsOfTheClock() throws {
        let message = try SwanctlCertificatesTests.message(
            SwanctlCertificatesTests.gateway, "NONE", hasPrivateKey: true)
        func finding(_ now: Int64) throws -> DoctorPage.Finding {
            var page = DoctorPage()
            page.ownCertificates([message], now: now)
            #expect(page.findings.count == 1)
            return try #require(page.findings.first)
        }
        let behind = try finding(1_700_000_000)
        #expect(behind.verdict == .broken && behind.code == "E-CLOCK" && behind.text.contains("2026-11-21 21:33"))
        #expect(try finding(1_800_000_000).verdict == .well)
        #expect(try finding(1_900_000_000).verdict == .broken)
        var page = DoctorPage()
        page.ownCertificates(
            [try SwanctlCertificatesTests.message(SwanctlCertificatesTests.gateway, "NONE", hasPrivateKey: false)],
            now: 0)
        #expect(page.findings.isEmpty)
    }

    private static func connection(
        state: String = "up", remote: [String] = ["198.51.100.2"], error: StatusReport.Failure? = nil,
        nat: String? = nil, peer: String = "198.51.100.2[4500]", child: StatusReport.ChildStatus? = nil
    ) -> StatusReport.ConnectionStatus {
        let sa = StatusReport.IKESAStatus(
            id: 1, connection: "branch", state: "ESTABLISHED", local: "192.0.2.1[4500]", remote: peer,
            remote_id: "198.51.100.2", initiator: true, nat: nat, children: child.map { [$0] } ?? [])
        return .init(
            name: "branch", state: state, remote_addrs: remote, children: ["net"], last_error: error,
            ike_sas: state == "up" ? [sa] : [])
    }

    private static func page(_ connection: StatusReport.ConnectionStatus) -> DoctorPage {
        var page = DoctorPage()
        page.connection(connection)
        return page
    }

    /// Counters of a lifetime say nothing of now: the ages of the last packets do.
    @Test func aTunnelThatFellSilentInOneDirection() throws {
        func finding(_ into: (Int64, Int64?), _ out: (Int64, Int64?)) -> DoctorPage.Finding? {
            let child = StatusReport.ChildStatus(
                id: 7, name: "net", state: "INSTALLED", local_ts: [], remote_ts: [], spi_in: "c1", spi_out: "c2",
                bytes_in: 0, packets_in: into.0, bytes_out: 0, packets_out: out.0, last_in: into.1, last_out: out.1)
            return Self.page(Self.connection(child: child)).findings.last
        }
        let deaf = try #require(finding((1000, 90), (1000, 2)))
        #expect(deaf.verdict == .broken && deaf.code == "E-ONE-WAY" && deaf.text.contains("come back for 90 s"))
        let mute = try #require(finding((1000, 2), (1000, 90)))
        #expect(mute.verdict == .broken && mute.text.contains("sent nothing for 90 s"))
        for quiet in [finding((1000, 500), (1000, 400)), finding((1000, 20), (1000, 0)), finding((9, nil), (9, nil))] {
            #expect(quiet?.verdict == .well && quiet?.text.contains("both ways") == true)
        }
        #expect(finding((0, nil), (9, 1))?.code == "E-ONE-WAY")
    }

    @Test func theLastLineCountsWhatIsToBeLookedAt() {
        let terminal = Terminal(hasColour: false)
        var page = DoctorPage()
        page.add(.well, "gateway", "It answers.")
        #expect(page.lines(terminal).last == "All is well.")
        page.connection(Self.connection(state: "down"))
        #expect(page.lines(terminal).last == "Nothing is broken, 1 thing to look at.")
        page.add(.unwise, "somebody", "Was refused.")
        #expect(page.lines(terminal).last == "Nothing is broken, 2 things to look at." && !page.isBroken)
        page.add(.broken, "branch", "It is.")
        #expect(page.lines(terminal).last == "1 thing is broken, 2 things to look at." && page.isBroken)
    }

    @Test func whoOnlyThePeerCanStartIsNotToBeStartedHere() {
        let failure = StatusReport.Failure(code: "E-NO-PATH", text: "Only the peer can start it.", time: 0, age: 1)
        for error in [nil, failure] {
            let page = Self.page(Self.connection(state: "down", remote: ["%any"], error: error))
            #expect(page.findings.map(\.verdict) == [.unwise])
            #expect(page.findings.allSatisfy { $0.text.contains("only the peer can start it") })
            #expect(page.findings.allSatisfy { !$0.text.contains("martlet up") })
        }
        #expect(Self.page(Self.connection(state: "down")).findings.last?.text.contains("`martlet up branch`") == true)
    }

    @Test func anEndThatWasPerhapsMeantIsNotBroken() {
        let failure = StatusReport.Failure(code: "E-DELETED-AT-ONCE", text: "It ended it.", time: 0, age: 1)
        let page = Self.page(Self.connection(state: "down", error: failure))
        #expect(page.findings.first?.verdict == .unwise && !page.isBroken)
    }

    @Test func aForcedEncapsulationIsNoNAT() {
        func text(_ nat: String, _ peer: String) -> String {
            Self.page(Self.connection(nat: nat, peer: peer)).findings.last?.text ?? ""
        }
        #expect(text("remote", "198.51.100.2[4500]").contains("no NAT seems to be on the way"))
        #expect(text("remote", "203.0.113.9[4500]").contains("the peer wants it (`encap = yes`"))
        #expect(text("remote", "203.0.113.9[1027]").contains("A NAT is in front of the peer"))
        #expect(text("local", "198.51.100.2[4500]").contains("in front of this gateway"))
    }
}
