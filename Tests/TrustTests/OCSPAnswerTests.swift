import Foundation
import Testing

@testable import Trust

/// Answers of `openssl ocsp` to questions about one certificate, true and false.
struct OCSPAnswerTests {
    /// 2026-11-22, a day after the answers were made; they hold until 2036-11-18.
    static let moment: Int64 = 1_795_370_000
    /// The nonce of the one question that had one.
    static let nonce: [UInt8] = [
        0x72, 0x64, 0x25, 0x74, 0x48, 0xfb, 0xd1, 0x47, 0x55, 0x8d, 0x1a, 0x76, 0x1e, 0xf0, 0xf6, 0xf0,
    ]

    private static func octets(_ name: String) throws -> [UInt8] {
        let url = Bundle.module.bundleURL.appendingPathComponent("Vectors/ocsp/\(name).der")
        return [UInt8](try Data(contentsOf: url))
    }

    private static func certificate(_ name: String) throws -> Certificate {
        try Certificate(der: octets("\(name).cert"))
    }

    private static func verdict(
        _ answer: String, about name: String = "peer", nonce: [UInt8] = [], responders: [String] = [],
        at moment: Int64 = moment
    ) throws -> String {
        let question = OCSPQuestion(try certificate(name), issuer: try certificate("root"), nonce: nonce)
        let verdict = question.verdict(
            on: try octets(answer), responders: try responders.map { try certificate($0) }, moment: moment)
        switch verdict {
        case .good: return "good"
        case .revoked: return "revoked"
        case .useless(let reason): return reason
        }
    }

    @Test("The issuer and whom it has told to may answer; what they say counts")
    func trueAnswers() throws {
        #expect(try Self.verdict("good") == "good")
        #expect(try Self.verdict("delegated") == "good")
        #expect(try Self.verdict("nonce", nonce: Self.nonce) == "good")
        #expect(try Self.verdict("revoked") == "revoked")
        #expect(try Self.verdict("other", about: "other") == "good")
        // Whoever is configured may answer for any authority.
        #expect(try Self.verdict("impostor", responders: ["impostor"]) == "good")
        let question = OCSPQuestion(try Self.certificate("peer"), issuer: try Self.certificate("root"), nonce: [])
        #expect(question.verdict(on: try Self.octets("good"), moment: Self.moment) == .good(until: 2_110_657_208))
    }

    @Test(
        "Attack 18: a wrong signer, a nonce of another question, another serial, an unknown status, an old answer",
        arguments: [
            ("impostor", "peer", "may not answer"), ("undelegated", "peer", "may not answer"),
            ("nonce", "peer", "another question"), ("good", "other", "another certificate"),
            ("other", "peer", "another certificate"), ("unknown", "peer", "does not know"),
        ])
    func falseAnswers(answer: String, about: String, words: String) throws {
        let nonce: [UInt8] = answer == "nonce" ? Self.nonce.reversed() : []
        let verdict = try Self.verdict(answer, about: about, nonce: nonce)
        #expect(verdict.contains(words), "\(verdict)")
    }

    @Test("Attack 18: an answer counts for its own time, give or take five minutes; revoked is revoked for ever")
    func time() throws {
        let (from, until): (Int64, Int64) = (1_795_297_208, 2_110_657_208)
        for (moment, isGood) in [
            (from - 301, false), (from, true), (until + 299, true), (until + 301, false),
        ] {
            let verdict = try Self.verdict("good", at: moment)
            #expect((verdict == "good") == isGood, "\(moment): \(verdict)")
        }
        #expect(try Self.verdict("good", at: until + 301) == "the answer is out of date")
        #expect(try Self.verdict("revoked", at: until + 1_000_000) == "revoked")
    }

    @Test("Attack 18: one octet changed anywhere makes an answer worthless")
    func forged() throws {
        let answer = try Self.octets("good")
        let question = OCSPQuestion(try Self.certificate("peer"), issuer: try Self.certificate("root"), nonce: [])
        let signer = try Self.certificate("root").der
        // The responder's certificate travels in the answer, unsigned: without it the issuer's own key does as well.
        let attached = answer.indices.first { Array(answer[$0...].prefix(64)) == Array(signer.prefix(64)) }
        for place in 0..<(attached ?? answer.count) {
            var forged = answer
            forged[place] ^= 0x01
            guard case .useless = question.verdict(on: forged, moment: Self.moment) else {
                Issue.record("octet \(place) may be changed")
                continue
            }
        }
        #expect(answer.count > 600 && (attached ?? answer.count) > 200)
    }
}
