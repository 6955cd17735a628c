import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// What strangers can make a gateway compute, send and say, by their numbers in the project's list. How often keys are
/// made is read from the keys that the engine puts out when it is told to.
@Suite struct ExpenseAttackTests {
    private static let seven = ["mlkem768", "mlkem1024", "ecp256", "ecp384", "x448", "ecp224", "ecp521"]

    private static func hybrid(_ methods: [String]) -> String {
        "aes128gcm16-prfsha256-x25519" + methods.enumerated().map { "-ke\($0 + 1)_\($1)" }.joined()
    }

    private static func open(ike: String = "aes128gcm16-prfsha256-x25519") -> Pair {
        var right = Pair.connection(isLeft: false, ike: ike)
        right.remoteAddresses = []
        let pair = Pair(right: right)
        pair.right.environment.exposesKeys = true
        return pair
    }

    private static func path(_ index: Int) -> Path {
        Path(
            local: Endpoint(Pair.rightAddress, 500), remote: Endpoint(IPAddress(v4: 0x0a00_0000 + UInt32(index)), 500))
    }

    private static func encapsulations(_ gateway: Gateway) -> Int {
        gateway.effects.count { if case .ask(_, .encapsulate) = $0 { true } else { false } }
    }

    private static func verifications(_ gateway: Gateway) -> Int {
        gateway.effects.count { if case .ask(_, .verify) = $0 { true } else { false } }
    }

    /// What looks like a sealed message of this exchange.
    private static func junk(
        _ exchange: UInt8, id: UInt32, spi: UInt64, to responder: UInt64, count: Int, first: UInt8 = 46
    ) -> [UInt8] {
        var writer = WireWriter()
        writer.uint64(spi)
        writer.uint64(responder)
        for octet: UInt8 in [first, 0x20, exchange, 8] { writer.uint8(octet) }
        writer.uint32(id)
        writer.uint32(UInt32(28 + 4 + count))
        writer.uint8(35)
        writer.uint8(0)
        writer.uint16(UInt16(4 + count))
        for index in 0..<count { writer.uint8(UInt8(truncatingIfNeeded: index)) }
        return writer.bytes
    }

    // MARK: Work before authentication

    @Test("Attack 31: 500 half-open IKE SAs cost nothing but their own value until junk comes, then one agreement each")
    func attack31Junk() throws {
        let pair = Self.open()
        var limits = pair.right.endpoint.configuration
        limits.limits.cookieThreshold = 1_000
        pair.right.handle(.configuration(limits))
        var responders: [UInt64] = []
        for index in 0..<500 {
            let bytes = try FloodAttackTests.request(spi: UInt64(index + 1))
            pair.right.handle(.datagram(Datagram(bytes, path: Self.path(index), socket: .plain)))
            let answer = try #require(pair.right.takeOutbox().first)
            responders.append(try Message(parsing: answer.bytes).header.responderSPI)
        }
        #expect(pair.right.endpoint.counts.halfOpen == 500 && pair.right.exposed.isEmpty)
        func send(_ bytes: [UInt8], _ index: Int) {
            pair.right.handle(.datagram(Datagram(bytes, path: Self.path(index), socket: .plain)))
        }
        // What is of another exchange, too short, or of another number costs none.
        for (index, responder) in responders.enumerated() {
            let spi = UInt64(index + 1)
            for exchange: UInt8 in [36, 37, 43, 44, 200] {
                send(Self.junk(exchange, id: 1, spi: spi, to: responder, count: 100), index)
            }
            for count in [0, 8, 24] { send(Self.junk(35, id: 1, spi: spi, to: responder, count: count), index) }
            for id: UInt32 in [0, 2, .max] { send(Self.junk(35, id: id, spi: spi, to: responder, count: 100), index) }
            send(Self.junk(35, id: 1, spi: spi, to: responder &+ 1, count: 100), index)
        }
        #expect(pair.right.exposed.isEmpty && pair.right.takeOutbox().isEmpty)
        for round in 0..<5 {
            for (index, responder) in responders.enumerated() {
                send(Self.junk(35, id: 1, spi: UInt64(index + 1), to: responder, count: 100 + round), index)
            }
            #expect(pair.right.exposed.count == 500 && Self.verifications(pair.right) == 0)
        }
        #expect(pair.right.takeOutbox().isEmpty && pair.right.endpoint.counts.openTickets == 0)
        pair.advance(.seconds(60))
        #expect(pair.right.isEmpty)
    }

    @Test("Attack 31: seven further key exchanges cost seven, each for who has done the one before, and then no more")
    func attack31Loop() throws {
        let ike = Self.hybrid(Self.seven)
        let pair = Self.open(ike: ike)
        let rogue = try #require(RoguePeer(pair, ike: ike, notifies: [NotifyPayload(.intermediateExchangeSupported)]))
        let methods = Pair.proposals(ike, .ike)[0].additionalKeyExchanges
        let payload = Payload.keyExchange(KeyExchangePayload(method: 36, data: [UInt8](repeating: 1, count: 1184)))
        func pester(_ done: Int) {
            for id: UInt32 in 0...20 where id != UInt32(done + 1) {
                _ = rogue.ask(.ikeIntermediate, id, [payload])
            }
            for _ in 0..<20 {
                let next = UInt32(done + 1)
                let junk = Self.junk(
                    43, id: next, spi: 0x0102_0304_0506_0708, to: rogue.responderSPI, count: 1200)
                _ = rogue.deliver(junk)
            }
            #expect(Self.encapsulations(pair.right) == done)
            #expect(pair.right.exposed.count == (done == 0 ? 1 : done + 1))
        }
        pester(0)
        for (index, method) in methods.enumerated() {
            #expect(rogue.exchangeMore(method, id: UInt32(index + 1)))
            pester(index + 1)
        }
        // The loop: one more, and one more.
        for id: UInt32 in 8..<200 { #expect(rogue.ask(.ikeIntermediate, id, [payload]) == []) }
        #expect(Self.encapsulations(pair.right) == 7 && pair.right.exposed.count == 8)
        #expect(pair.right.endpoint.counts.halfOpen == 1 && pair.right.installed.isEmpty)
        pair.advance(.seconds(60))
        #expect(pair.right.isEmpty)
    }

    @Test("Attack 31: whoever repeats honest messages of a long handshake gets the same answers and no further work")
    func attack31Repetition() throws {
        let ike = Self.hybrid(Array(Self.seven.prefix(3)))
        let pair = Pair(left: Pair.connection(ike: ike), right: Pair.connection(isLeft: false, ike: ike))
        pair.right.environment.exposesKeys = true
        var seen: [Datagram] = []
        pair.wire = { datagram, fromLeft in
            guard fromLeft else { return [datagram] }
            seen.append(datagram)
            return seen + seen + [datagram] + seen
        }
        pair.connect()
        #expect(pair.left.summary?.state == .established && pair.right.summary?.state == .established)
        #expect(Self.encapsulations(pair.right) == 3 && pair.right.exposed.count == 4)
        #expect(Self.verifications(pair.right) == 1 && pair.right.endpoint.counts.ikeSAs == 1)
    }

    @Test(
        "Attack 31: huge lists of authorities and a hundred certificates cost one question with a bounded part of them")
    func attack31Certificates() throws {
        var right = Pair.connection(isLeft: false)
        right.remote.method = .publicKey
        let pair = Pair(right: right)
        let rogue = try #require(RoguePeer(pair))
        let answer = rogue.authenticate { request in
            request.authentication = AuthenticationPayload(.digitalSignature, [UInt8](repeating: 3, count: 300))
            request.certificates = (0..<100).map {
                CertificatePayload(.x509Signature, [UInt8](repeating: UInt8($0), count: 400))
            }
            request.certificateRequests = (0..<10).map { block in
                CertificateRequestPayload(
                    authorities: (0..<100).map { [UInt8](repeating: UInt8(($0 + block) & 0xff), count: 20) })
            }
        }
        let proofs = pair.right.effects.compactMap { effect -> Query.Proof? in
            if case .ask(_, .verify(let proof, _)) = effect { proof } else { nil }
        }
        #expect(proofs.count == 1)
        #expect((proofs.first?.evidence?.certificates.count ?? .max) <= SignatureAgreement.mostCertificates)
        #expect(answer.first?.payloads == [.notify(NotifyPayload(.authenticationFailed))])
        #expect(pair.right.isEmpty)
    }

    @Test("Attack 31: a list of authorities is remembered up to a bound, however many messages bring it")
    func attack31Authorities() {
        var agreement = SignatureAgreement()
        for block in 0..<50 {
            agreement.learn([
                CertificateRequestPayload(
                    authorities: (0..<200).map { [UInt8](repeating: UInt8(($0 + block) & 0xff), count: 20) })
            ])
        }
        #expect(agreement.authorities.count <= 256 && agreement.isAsked)
    }

    // MARK: Octets for octets

    private static func initiation(_ change: (inout [UInt8]) -> Void = { _ in }) throws -> [UInt8] {
        var bytes = try FloodAttackTests.request(spi: 1)
        change(&bytes)
        return bytes
    }

    /// A request with a value of X25519 whose offer has another group as well.
    private static func offeringTwoGroups() throws -> [UInt8] {
        let request = IKESAInit.Request(
            offer: SecurityAssociationPayload([
                WireProposal(number: 1, Pair.proposals("aes128gcm16-prfsha256-x25519-ecp256", .ike)[0], spi: [])
            ]), keyExchange: KeyExchangePayload(method: 31, data: [UInt8](repeating: 9, count: 32)),
            nonce: NoncePayload([UInt8](repeating: 1, count: 32)))
        let header = IKEHeader(initiatorSPI: 1, responderSPI: 0, exchange: .ikeSAInit, flags: .initiator, messageID: 0)
        return try Message(header, request.payloads).encoded()
    }

    /// What the right gateway sends for one datagram, and for a minute after it.
    private static func octetsOut(_ pair: Pair, _ bytes: [UInt8], _ index: Int) -> Int {
        pair.right.handle(.datagram(Datagram(bytes, path: path(index), socket: .plain)))
        let before = pair.trace.count
        let sent = pair.right.takeOutbox()
        #expect(sent.count <= 1)
        pair.advance(.seconds(60))
        return (sent + pair.trace.dropFirst(before).map(\.datagram)).reduce(0) { $0 + $1.bytes.count }
    }

    @Test("Attack 33: no answer to a first message has more than three times its octets, and none comes by itself")
    func attack33Octets() throws {
        let request = try Self.initiation()
        let open = { Self.open() }
        var rows: [(what: String, pair: Pair, bytes: [UInt8], most: Double)] = [
            ("accepted", open(), request, 3), ("another version", open(), try Self.initiation { $0[17] = 0x30 }, 0.5),
            ("an older version", open(), try Self.initiation { $0[17] = 0x10 }, 0),
            ("an SPI that is nobody's", open(), try Self.initiation { ($0[15], $0[18]) = (1, 37) }, 0),
            ("a response to nothing", open(), try Self.initiation { $0[19] = 0x20 }, 0),
            (
                "cut off", open(),
                try Self.initiation {
                    $0.removeLast(8); $0[27] &-= 8
                }, 0.5
            ),
            ("another group", Self.open(ike: "aes128gcm16-prfsha256-ecp256"), try Self.offeringTwoGroups(), 0.5),
            ("another algorithm", Self.open(ike: "aes256-sha512-x25519"), request, 0.5),
            ("nothing but a header", open(), Self.junk(34, id: 0, spi: 1, to: 0, count: 0, first: 0), 1.5),
        ]
        // A gateway that trusts many authorities names them to whoever has room for that.
        for authorities in [1, 20, 40, 41] {
            let pair = open()
            var connection = pair.right.endpoint.configuration.connections[0]
            connection.local.method = .publicKey
            connection.remote.method = .publicKey
            connection.remote.authorities = (0..<authorities).map {
                CertificateAuthority(
                    certificate: [UInt8($0)], keyIdentifier: [UInt8](repeating: UInt8($0), count: 20))
            }
            connection.remote.responders = (0..<8).map { [UInt8](repeating: UInt8(100 + $0), count: 20) }
            connection.statusExchange = .both
            pair.right.handle(.configuration(Configuration(connections: [connection])))
            rows.append(("\(authorities) authorities", pair, request, 3))
        }
        // Cookies are asked for: then an answer is shorter than the request.
        let crowded = open()
        for index in 0...Limits().cookieThreshold {
            let bytes = try FloodAttackTests.request(spi: UInt64(index + 100))
            crowded.right.handle(.datagram(Datagram(bytes, path: Self.path(index + 100), socket: .plain)))
        }
        _ = crowded.right.takeOutbox()
        rows.append(("cookies", crowded, request, 0.7))
        for (index, row) in rows.enumerated() {
            let out = Self.octetsOut(row.pair, row.bytes, index)
            #expect(Double(out) <= row.most * Double(row.bytes.count), "\(row.what): \(out) for \(row.bytes.count)")
        }
    }

    /// A peer that was spoofed is silent: a responder never repeats its answer by itself, and repeats it as often as the
    /// request comes.
    @Test("Attack 33: to a silent peer nothing is repeated, and a request that comes again gets one answer each time")
    func attack33Silence() throws {
        let pair = Self.open()
        let request = try Self.initiation()
        let once = Self.octetsOut(pair, request, 1)
        #expect(once > 0 && once <= InitResponder.amplification * request.count)
        let again = Self.open()
        for _ in 0..<50 {
            again.right.handle(.datagram(Datagram(request, path: Self.path(1), socket: .plain)))
        }
        let answers = again.right.takeOutbox()
        #expect(answers.count == 50 && Set(answers.map(\.bytes)).count == 1)
        #expect(answers.allSatisfy { $0.bytes.count <= InitResponder.amplification * request.count })
        #expect(again.right.endpoint.counts.ikeSAs == 1)
        // Hours later there is still nothing more.
        again.trace = []
        again.advance(.hours(1))
        #expect(again.trace.isEmpty && again.right.isEmpty)
    }

    @Test("Attack 33: errors in clear are few for all senders together, however many ask")
    func attack33Rate() throws {
        let rows: [(String, [UInt8])] = [
            ("another version", try Self.initiation { $0[17] = 0x30 }),
            (
                "cut off",
                try Self.initiation {
                    $0.removeLast(8); $0[27] &-= 8
                }
            ),
        ]
        for (what, bytes) in rows {
            let pair = Self.open()
            var answers = 0
            for index in 0..<5_000 {
                pair.right.handle(.datagram(Datagram(bytes, path: Self.path(index), socket: .plain)))
                answers += pair.right.takeOutbox().count
            }
            #expect((1...100).contains(answers), "\(what): \(answers)")
            pair.advance(.seconds(10))
            pair.right.handle(.datagram(Datagram(bytes, path: Self.path(1), socket: .plain)))
            #expect(pair.right.takeOutbox().count == 1, "\(what): it is told again later")
        }
    }

    // MARK: What is said to strangers

    /// The same octets but for what chance makes different: length, header, payloads, and what is asked inside.
    @Test(
        "Attack 34: an unknown name, a wrong secret, an unknown responder and a wrong kind of proof read all the same")
    func attack34Identical() throws {
        struct Reading: Hashable {
            var datagrams: [[UInt8]]
            var payloads: [[Payload]]
            var questions: [String]
        }
        typealias Change = (inout IKEAuth.Request.Identified) -> Void
        let rows: [(String, Bool, Change)] = [
            ("a wrong secret", false, { _ in }),
            ("an unknown name", false, { $0.identity = IdentificationPayload(.fqdn("nobody.example")) }),
            (
                "an unknown name with a secret of ours", true,
                { $0.identity = IdentificationPayload(.fqdn("x.example")) }
            ),
            ("a name of another kind", false, { $0.identity = IdentificationPayload(.keyID(Array("left".utf8))) }),
            ("an address", false, { $0.identity = IdentificationPayload(Identity(Pair.leftAddress)) }),
            ("an unknown responder", true, { $0.responderIdentity = IdentificationPayload(.fqdn("else.example")) }),
            ("a signature", true, { $0.authentication = AuthenticationPayload(.digitalSignature, [1, 2, 3]) }),
            ("no proof", true, { $0.authentication = nil }),
            ("an empty proof", true, { $0.authentication = AuthenticationPayload(.sharedKey, []) }),
        ]
        var readings: Set<Reading> = []
        for (what, isRight, change) in rows {
            let pair = Pair()
            let rogue = try #require(RoguePeer(pair))
            let key = Array((isRight ? "the same key" : "guessed").utf8)
            let answers = rogue.authenticate(key: key, change)
            // The initialisation vector and the ciphertext are chance; the rest is not, nor is how long they are.
            let datagrams = rogue.lastAnswers.map { Array($0.prefix(8)) + Array($0[16..<32]) + [UInt8($0.count)] }
            let questions = pair.right.effects.compactMap { effect -> String? in
                if case .ask(_, let query) = effect {
                    if case .verify = query { "verify" } else { "another" }
                } else {
                    nil
                }
            }
            readings.insert(Reading(datagrams: datagrams, payloads: answers.map(\.payloads), questions: questions))
            #expect(answers.count == 1 && questions == ["verify"], "\(what)")
            #expect(answers.first?.payloads == [.notify(NotifyPayload(.authenticationFailed))], "\(what)")
            #expect(pair.right.isEmpty, "\(what)")
        }
        #expect(readings.count == 1)
    }
}
