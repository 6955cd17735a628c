import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// Messages that are longer than a packet (RFC 7383).
@Suite struct FragmentationTests {
    /// Two gateways whose IKE_AUTH has some 8 kB in each direction: 250 networks on both sides.
    private func pair(
        left: Connection.Fragmentation = .yes, right: Connection.Fragmentation = .yes, size: Int = 1280
    ) -> Pair {
        var ours = Pair.connection()
        var theirs = Pair.connection(isLeft: false)
        for index in ours.children.indices {
            ours.children[index].localSelectors = Self.networks(1)
            ours.children[index].remoteSelectors = Self.networks(2)
            theirs.children[index].localSelectors = Self.networks(2)
            theirs.children[index].remoteSelectors = Self.networks(1)
        }
        ours.fragmentation = left
        theirs.fragmentation = right
        ours.fragmentSize = size
        theirs.fragmentSize = size
        return Pair(left: ours, right: theirs)
    }

    private static func networks(_ side: Int) -> [SelectorTemplate] {
        // Every second one, so that no two can be taken for one.
        (0..<250).map { SelectorTemplate(Pair.prefix("10.\(side * 2 + $0 / 125).\($0 % 125 * 2).0/24")) }
    }

    private func parts(_ pair: Pair) -> [(fromLeft: Bool, message: SealedMessage)] {
        pair.trace.compactMap { sent in
            guard let message = try? SealedMessage(parsing: sent.datagram.bytes) else { return nil }
            return (sent.fromLeft, message)
        }
    }

    private func isUp(_ pair: Pair) {
        #expect(pair.left.summary?.children.first?.localSelectors.count == 250)
        #expect(pair.right.summary?.children.first?.localSelectors.count == 250)
        #expect(pair.left.summary?.state == .established && pair.right.summary?.state == .established)
    }

    @Test func longMessagesTravelInPiecesThatFitThePath() {
        let pair = pair()
        pair.connect()
        isUp(pair)
        let sent = parts(pair)
        #expect(sent.count > 8)
        #expect(sent.allSatisfy { $0.message.fragment != nil })
        for (_, datagram) in pair.trace {
            #expect(datagram.bytes.count + 20 + 8 + (datagram.socket == .natTraversal ? 4 : 0) <= 1280)
        }
        let totals = Set(sent.compactMap { $0.message.fragment?.total })
        #expect(totals.allSatisfy { $0 >= 7 })
        #expect(pair.left.drops.isEmpty && pair.right.drops.isEmpty)
        // An ordinary message stays whole.
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(parts(pair).last?.message.fragment == nil)
        #expect(pair.left.isEmpty && pair.right.isEmpty)
    }

    @Test(
        arguments: [
            (Connection.Fragmentation.no, Connection.Fragmentation.yes), (.yes, .no), (.accept, .accept), (.no, .no),
        ])
    func nothingIsCutUnlessBothSayThatTheyTakeIt(left: Connection.Fragmentation, right: Connection.Fragmentation) {
        let pair = pair(left: left, right: right)
        pair.connect()
        isUp(pair)
        #expect(parts(pair).allSatisfy { $0.message.fragment == nil })
    }

    @Test func whoOnlyAcceptsFragmentsSendsNone() {
        let pair = pair(left: .accept, right: .force)
        pair.connect()
        isUp(pair)
        #expect(parts(pair).allSatisfy { ($0.message.fragment == nil) == $0.fromLeft })
    }

    @Test(arguments: [UInt16(1), 2, 7], [true, false])
    func aLostPieceBringsTheWholeMessageAgain(number: UInt16, ofTheRequest: Bool) {
        let pair = pair()
        var lost = 0
        pair.wire = { datagram, fromLeft in
            let message = try? SealedMessage(parsing: datagram.bytes)
            guard fromLeft == ofTheRequest, message?.fragment?.number == number, lost == 0 else { return [datagram] }
            lost += 1
            return []
        }
        pair.connect()
        #expect(lost == 1)
        #expect((pair.right.summary?.state == .established) == !ofTheRequest)
        pair.advance(.seconds(5))
        isUp(pair)
        // The request came twice, and the answer to the pieces of the second one at most once more.
        let sent = parts(pair)
        let (requests, responses) = (sent.filter { $0.fromLeft }, sent.filter { !$0.fromLeft })
        let length = Int(requests.first?.message.fragment?.total ?? 0)
        #expect(requests.count == 2 * length)
        #expect(requests.prefix(length).map { $0.message.bytes } == requests.suffix(length).map { $0.message.bytes })
        #expect(responses.count == (ofTheRequest ? 1 : 2) * Int(responses.first?.message.fragment?.total ?? 0))
    }

    @Test func piecesMayComeInAnyOrderAndTwice() {
        let pair = pair()
        var held: [Datagram] = []
        pair.wire = { datagram, _ in
            guard let place = (try? SealedMessage(parsing: datagram.bytes))?.fragment else { return [datagram] }
            held.append(datagram)
            guard place.number == place.total else { return [] }
            defer { held = [] }
            return held.reversed() + held
        }
        pair.connect()
        isUp(pair)
        #expect(pair.left.refusals == [] && pair.right.refusals == [])
    }

    @Test func onlyTheFirstPieceOfAnAnsweredRequestIsAnsweredAgain() throws {
        let pair = pair()
        pair.connect()
        let first = pair.trace.filter { $0.fromLeft && (try? SealedMessage(parsing: $0.datagram.bytes)) != nil }
        let replies = pair.trace.filter { !$0.fromLeft }.count - 1
        for (index, sent) in first.enumerated() {
            let datagram = sent.datagram
            pair.right.handle(
                .datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: datagram.socket)))
            #expect(pair.right.takeOutbox().count == (index == 0 ? replies : 0))
        }
    }

    @Test func aForgedPieceIsDroppedAndSpoilsNothing() throws {
        let pair = pair()
        pair.wire = { datagram, _ in
            guard (try? SealedMessage(parsing: datagram.bytes))?.fragment != nil else { return [datagram] }
            var forged = datagram
            forged.bytes[forged.bytes.count - 1] ^= 1
            return [forged, datagram]
        }
        pair.connect()
        isUp(pair)
        #expect(pair.right.drops.contains(.forged))
    }

    @Test func piecesAreHeldForABoundedTime() throws {
        let pair = pair()
        pair.connect()
        let session = try #require(pair.right.endpoint.inOrder.first)
        pair.wire = { datagram, _ in
            let place = (try? SealedMessage(parsing: datagram.bytes))?.fragment
            return place?.number == 2 ? [] : [datagram]
        }
        pair.left.handle(.command(.rekey(.child("net", connection: nil))))
        pair.run()
        #expect(session.context.reassembly.count > 4000)
        pair.wire = { _, _ in [] }
        pair.advance(.seconds(61))
        #expect(session.context.reassembly.isEmpty)
    }
}

@Suite struct ReassemblyTests {
    private func fragments(_ octets: Int, maximumLength: Int, id: UInt32 = 1) throws -> [OpenedFragment] {
        let header = IKEHeader(
            initiatorSPI: 1, responderSPI: 2, exchange: .ikeAuth, flags: .initiator, messageID: id)
        let message = Message(header, [.vendorID(VendorIDPayload([UInt8](repeating: 7, count: octets)))])
        let train = try message.sealedFragments(with: NoCipher(), maximumLength: maximumLength) { [] }
        return try train.map { try SealedMessage(parsing: $0).openFragment(with: NoCipher()) }
    }

    /// Nothing is encrypted: what is tested is what happens behind the keys.
    private struct NoCipher: SKCipher {
        let ivLength = 0
        let icvLength = 0
        let blockLength = 1
        func seal(associatedData: Span<UInt8>, iv: Span<UInt8>, plaintext: Span<UInt8>) -> [UInt8]? { array(plaintext) }
        func open(associatedData: Span<UInt8>, iv: Span<UInt8>, sealed: Span<UInt8>) -> [UInt8]? { array(sealed) }
        private func array(_ span: Span<UInt8>) -> [UInt8] { span.indices.map { span[$0] } }
    }

    @Test func aFinerCutBeginsAgainAndACoarserOneIsLate() throws {
        var reassembly = Reassembly()
        let coarse = try fragments(1000, maximumLength: 600)
        let fine = try fragments(1000, maximumLength: 300)
        #expect(coarse.count < fine.count)
        guard case .kept = reassembly.add(coarse[0], limit: 9000) else { throw Unexpected() }
        guard case .kept = reassembly.add(fine[0], limit: 9000) else { throw Unexpected() }
        #expect(reassembly.count == fine[0].count)
        guard case .refused = reassembly.add(coarse[1], limit: 9000) else { throw Unexpected() }
        for fragment in fine.dropFirst().dropLast() {
            guard case .kept = reassembly.add(fragment, limit: 9000) else { throw Unexpected() }
        }
        guard case .complete(let all) = reassembly.add(fine[fine.count - 1], limit: 9000) else { throw Unexpected() }
        #expect(all.count == fine.count && reassembly.isEmpty)
    }

    @Test func whatIsHeldIsBounded() throws {
        var reassembly = Reassembly()
        let long = try fragments(4000, maximumLength: 600)
        for fragment in long.dropLast() { _ = reassembly.add(fragment, limit: 2000) }
        #expect(reassembly.count <= 2000)
        // More pieces than a message ever has are not even begun.
        reassembly = Reassembly()
        let many = try fragments(4000, maximumLength: 80)
        #expect(many.count < 255)
        let tooMany = try fragments(12_000, maximumLength: 80)
        #expect(tooMany.count > 255)
        guard case .refused = reassembly.add(tooMany[0], limit: 60_000) else { throw Unexpected() }
        #expect(reassembly.isEmpty)
    }

    @Test func theNextMessageTakesTheRoomOfOneThatWasGivenUp() throws {
        var reassembly = Reassembly()
        let old = try fragments(1000, maximumLength: 600, id: 4)
        let new = try fragments(1000, maximumLength: 600, id: 5)
        _ = reassembly.add(old[0], limit: 9000)
        for fragment in new.dropLast() { _ = reassembly.add(fragment, limit: 9000) }
        guard case .complete(let all) = reassembly.add(new[new.count - 1], limit: 9000) else { throw Unexpected() }
        #expect(all.allSatisfy { $0.header.messageID == 5 })
    }

    private struct Unexpected: Error {}
}
