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
}
