import Testing

@testable import Trust

/// Requests to OCSP responders; answers are judged in the interop lab, against `openssl ocsp`, and here as far as they are
/// no answers.
struct OCSPQuestionTests {
    @Test("A request is short, holds the nonce, and differs with it")
    func requests() throws {
        let lab = try Lab()
        let peer = try Lab.issue("CN=a", .p256, by: lab.root, Lab.peer("DNS:a.lab"), serial: [7])
        let nonce = [UInt8](repeating: 0xa5, count: 32)
        let question = OCSPQuestion(peer.certificate, issuer: lab.root.certificate, nonce: nonce)
        let request = try #require(question.request)
        #expect(request.count < 200)
        #expect((0...(request.count - 32)).contains { Array(request[$0..<$0 + 32]) == nonce })
        let other = OCSPQuestion(
            peer.certificate, issuer: lab.root.certificate, nonce: Array(nonce.reversed().dropLast()))
        #expect(try #require(other.request) != request)
    }

    @Test("Attack 18: what is no answer is useless, whatever it looks like")
    func rubbish() throws {
        let lab = try Lab()
        let peer = try Lab.issue("CN=a", .p256, by: lab.root, Lab.peer("DNS:a.lab"), serial: [7])
        let question = OCSPQuestion(peer.certificate, issuer: lab.root.certificate, nonce: [1, 2, 3])
        // 30 03 0a 01 nn: a status and nothing else. 0 says that there is an answer, 3 try later, 6 unauthorized.
        for (answer, words) in [
            ([], "malformed"), ([0x30, 0x03, 0x0a, 0x01, 0x03], "declines"),
            ([0x30, 0x03, 0x0a, 0x01, 0x06], "declines"),
            ([0x30, 0x03, 0x0a, 0x01, 0x00], "malformed"), ([UInt8](repeating: 0x30, count: 1000), "malformed"),
            ([UInt8](repeating: 0x30, count: 300_000), "malformed"),
        ] as [([UInt8], String)] {
            guard case .useless(let reason) = question.verdict(on: answer, moment: Lab.now) else {
                Issue.record("an answer of \(answer.count) octets counts")
                continue
            }
            #expect(reason.contains(words), "\(reason)")
        }
    }
}
