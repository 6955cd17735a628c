import Clockwork
import GatewayModel
import Testing

@testable import IKEv2Engine

@Suite struct ReticenceTests {
    private static let now = Instant.zero + .seconds(100)

    /// A whole crowd that a dead revocation server shuts out at once: each is named, as refused and as closed.
    @Test func aCrowdThatIsShutOutIsNamed() {
        var reticence = Reticence()
        let refusal = Refusal.noSecret(local: .fqdn("hq.example"), remote: .fqdn("client.example"))
        var told = 0
        for _ in 0..<500 {
            told += reticence.tells(.refused(refusal, child: nil), now: Self.now) ? 1 : 0
            told += reticence.tells(.ikeClosed(.failed(refusal)), now: Self.now) ? 1 : 0
        }
        #expect(told == 1000 && reticence.due == nil)
    }

    /// What costs its sender one packet is told a few times, and hides nothing of what costs more.
    @Test func whatIsCheapIsToldSeldom() {
        var reticence = Reticence()
        let cheap = Refusal.noIKEProposal(ours: [], theirs: [])
        let told = (0..<1000).count { _ in reticence.tells(.refused(cheap, child: nil), now: Self.now) }
        #expect(told == 50)
        let dear = Refusal.noSecret(local: .fqdn("hq.example"), remote: .fqdn("client.example"))
        let isTold = reticence.tells(.refused(dear, child: nil), now: Self.now)
        let (early, late) = (
            reticence.takeLeftOut(now: Self.now), reticence.takeLeftOut(now: Self.now + Reticence.pause)
        )
        #expect(isTold && early == nil && late == 950)
        #expect(reticence.due == nil)
    }
}
