import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import Testing

@testable import IKEv2Engine

/// How it may end. Each of these looks at everything that an end holds: what is not named is a leak.
extension Crossing {
    /// Both ends have the same IKE SA and on it the same Child SAs, packets travel, nothing is left over, and everything can
    /// be replaced from either side.
    func expectOne(_ names: [String] = ["net"], at place: SourceLocation = #_sourceLocation) throws {
        try expectAgreement(names, at: place)
        carriesAlways = names == ["net"]
        for side in Side.allCases {
            rekeyChild(side)
            settle()
            try expectAgreement(names, at: place)
            rekeyIKE(side)
            settle()
            try expectAgreement(names, at: place)
        }
    }

    /// The same, without trying what comes next.
    func expectAgreement(_ names: [String] = ["net"], at place: SourceLocation = #_sourceLocation) throws {
        let left = try #require(pair.left.endpoint.summaries().first, sourceLocation: place)
        let right = try #require(pair.right.endpoint.summaries().first, sourceLocation: place)
        #expect(
            left.initiatorSPI == right.initiatorSPI && left.responderSPI == right.responderSPI, sourceLocation: place)
        #expect(left.isInitiator != right.isInitiator, sourceLocation: place)
        for side in Side.allCases {
            let gateway = self[side]
            let summaries = gateway.endpoint.summaries()
            #expect(summaries.map(\.state) == [.established], "\(side)", sourceLocation: place)
            let children = summaries.first?.children ?? []
            #expect(children.map(\.name).sorted() == names.sorted(), "\(side)", sourceLocation: place)
            #expect(children.allSatisfy { $0.state == .installed }, "\(side)", sourceLocation: place)
            #expect(gateway.endpoint.counts.ikeSAs == 1, "\(side)", sourceLocation: place)
            #expect(gateway.endpoint.counts.childSAs == names.count, "\(side)", sourceLocation: place)
            #expect(gateway.endpoint.counts.spis == names.count, "\(side)", sourceLocation: place)
            #expect(gateway.endpoint.counts.openTickets == 0, "\(side)", sourceLocation: place)
            #expect(gateway.liveSPIs.count == 2 * names.count, "\(side)", sourceLocation: place)
            #expect(gateway.refusals == [], "\(side)", sourceLocation: place)
            try expectRest(side, at: place)
            if names.contains("net") { #expect(carries(from: side), "\(side)", sourceLocation: place) }
        }
        let ours = left.children.map { [$0.inboundSPI, $0.outboundSPI] }.sorted { $0[0] < $1[0] }
        let theirs = right.children.map { [$0.outboundSPI, $0.inboundSPI] }.sorted { $0[0] < $1[0] }
        #expect(ours == theirs, sourceLocation: place)
        if names == ["net"] {
            #expect(sends(.left) == left.children.first?.outboundSPI, sourceLocation: place)
            #expect(sends(.right) == right.children.first?.outboundSPI, sourceLocation: place)
        }
    }

    /// The IKE SA of this side waits for nothing, and remembers nothing of what has met.
    private func expectRest(_ side: Side, at place: SourceLocation) throws {
        let session = try #require(self[side].endpoint.inOrder.first, sourceLocation: place)
        let context = session.context
        #expect(context.agenda.isEmpty && context.requests.inFlight == nil, "\(side)", sourceLocation: place)
        #expect(context.activity == .none && !context.isReplaced, "\(side)", sourceLocation: place)
        #expect(context.childRival == nil && context.ikeRival == nil, "\(side)", sourceLocation: place)
        #expect(!context.awaitsContest && context.newcomers.isEmpty, "\(side)", sourceLocation: place)
        #expect(context.earlyDeletions.isEmpty && context.heldSPIs.isEmpty, "\(side)", sourceLocation: place)
        #expect(context.pendingSPI == nil && isSilent(side), "\(side)", sourceLocation: place)
    }

    /// The IKE SA is there, and no Child SA.
    func expectNoChild(at place: SourceLocation = #_sourceLocation) throws {
        try expectAgreement([], at: place)
        for side in Side.allCases { #expect(sends(side) == nil, "\(side)", sourceLocation: place) }
    }

    /// Nothing is there.
    func expectNothing(at place: SourceLocation = #_sourceLocation) {
        for side in Side.allCases {
            #expect(self[side].isEmpty, "\(side): \(self[side].endpoint.counts)", sourceLocation: place)
            #expect(sends(side) == nil && isSilent(side), "\(side)", sourceLocation: place)
        }
    }
}
