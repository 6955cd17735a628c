import IKEMessages
import IPsecCrypto
import Testing

/// The typed exchanges: what must be there, what may, what may not.
@Suite struct ExchangeTests {
    static func header(_ exchange: ExchangeType, response: Bool, id: UInt32 = 0) -> IKEHeader {
        IKEHeader(
            initiatorSPI: 1, responderSPI: response || id > 0 ? 2 : 0, exchange: exchange,
            flags: response ? [.response] : [.initiator], messageID: id)
    }

    static let offer = SecurityAssociationPayload([Samples.ikeProposal])
    static let child = ChildNegotiation(
        securityAssociation: SecurityAssociationPayload([Samples.espProposal]), initiatorSelectors: Samples.selectors4,
        responderSelectors: Samples.selectors6)
    static let notify = NotifyPayload(.mobikeSupported)
    static let failure = NotifyPayload(.noProposalChosen)
    static let vendor = VendorIDPayload([1, 2])
    static let certificate = CertificatePayload(.x509Signature, [4, 5])
    static let certificateRequest = CertificateRequestPayload(authorities: [])

    /// Removing, doubling or adding payloads must have the outcome that the exchange prescribes.
    func expectGrammar(
        _ payloads: [Payload], mandatory: [PayloadType], single: [PayloadType], foreign: [Payload],
        exchange: ExchangeType, sourceLocation: SourceLocation = #_sourceLocation,
        _ parse: ([Payload]) throws -> [Payload]
    ) throws {
        let written = try parse(payloads)
        #expect(written == payloads, "send order", sourceLocation: sourceLocation)
        // Order means nothing on the way in.
        #expect(try parse(payloads.reversed()).count == payloads.count, sourceLocation: sourceLocation)
        let unknown = Payload.unknown(.unknown200, UnknownPayload([1]))
        #expect(try parse([unknown] + payloads) == payloads, sourceLocation: sourceLocation)
        for type in mandatory {
            #expect(throws: GrammarError.missing(type, exchange), sourceLocation: sourceLocation) {
                try parse(payloads.filter { $0.type != type })
            }
        }
        for type in single {
            let extra = try #require(payloads.first { $0.type == type }, sourceLocation: sourceLocation)
            #expect(throws: GrammarError.repeated(type, exchange), sourceLocation: sourceLocation) {
                try parse(payloads + [extra])
            }
        }
        for payload in foreign {
            #expect(throws: GrammarError.unexpected(payload.type, exchange), sourceLocation: sourceLocation) {
                try parse(payloads + [payload])
            }
        }
    }

    @Test func ikeSAInitRequest() throws {
        let request = IKESAInit.Request(
            offer: Self.offer, keyExchange: Samples.keyExchange, nonce: Samples.nonce,
            notifies: [Self.notify, NotifyPayload(.cookie, [1])], vendorIDs: [Self.vendor])
        #expect(request.payloads.first == .notify(NotifyPayload(.cookie, [1])))
        let core: [PayloadType] = [.securityAssociation, .keyExchange, .nonce]
        try expectGrammar(
            request.payloads, mandatory: core, single: core,
            foreign: [.authentication(Samples.authentication), .certificateRequest(Self.certificateRequest)],
            exchange: .ikeSAInit
        ) { try IKESAInit.Request(Message(Self.header(.ikeSAInit, response: false), $0)).payloads }
    }

    @Test func ikeSAInitRequestHeader() throws {
        let payloads: [Payload] = [
            .securityAssociation(Self.offer), .keyExchange(Samples.keyExchange), .nonce(Samples.nonce),
        ]
        func refusal(_ change: (inout IKEHeader) -> Void) -> GrammarError? {
            var header = Self.header(.ikeSAInit, response: false)
            change(&header)
            do {
                _ = try IKESAInit.Request(Message(header, payloads))
                return nil
            } catch {
                return error
            }
        }
        #expect(refusal { _ in } == nil)
        #expect(refusal { $0.initiatorSPI = 0 } == .forbiddenHeader("initiator SPI", .ikeSAInit))
        #expect(refusal { $0.responderSPI = 5 } == .forbiddenHeader("responder SPI", .ikeSAInit))
        #expect(refusal { $0.messageID = 1 } == .forbiddenHeader("message ID", .ikeSAInit))
        #expect(refusal { $0.flags = [] } == .forbiddenHeader("initiator flag", .ikeSAInit))
        #expect(refusal { $0.flags = [.response] } == .wrongDirection(.ikeSAInit, isResponse: true))
        #expect(refusal { $0.exchange = .ikeAuth } == .wrongExchange(.ikeAuth, expected: .ikeSAInit))
    }

    @Test func ikeSAInitResponse() throws {
        let header = Self.header(.ikeSAInit, response: true)
        let complete = IKESAInit.Response.complete(
            .init(
                choice: Samples.ikeProposal, keyExchange: Samples.keyExchange, nonce: Samples.nonce,
                certificateRequests: [Self.certificateRequest], notifies: [Self.notify], vendorIDs: [Self.vendor]))
        let core: [PayloadType] = [.securityAssociation, .keyExchange, .nonce]
        try expectGrammar(
            complete.payloads, mandatory: core, single: core, foreign: [.initiatorSelectors(Samples.selectors4)],
            exchange: .ikeSAInit
        ) { try IKESAInit.Response(Message(header, $0)).payloads }

        let cookie = NotifyPayload(.cookie, [9])
        #expect(
            try IKESAInit.Response(Message(header, [.notify(cookie)])) == .notified([cookie], vendorIDs: []))
        #expect(throws: GrammarError.missing(.securityAssociation, .ikeSAInit)) {
            try IKESAInit.Response(Message(header, []))
        }
        #expect(throws: GrammarError.ambiguousChoice(proposals: 2, .ikeSAInit)) {
            var payloads = complete.payloads
            payloads[0] = .securityAssociation(
                SecurityAssociationPayload([Samples.ikeProposal, Samples.ikeProposal]))
            _ = try IKESAInit.Response(Message(header, payloads))
        }
    }

    @Test func ikeAuthRequest() throws {
        let full = IKEAuth.Request.identified(
            .init(
                identity: Samples.identity, certificates: [Self.certificate, Self.certificate],
                certificateRequests: [Self.certificateRequest], responderIdentity: Samples.identity,
                authentication: Samples.authentication, configuration: Samples.configuration, child: Self.child,
                notifies: [Self.notify], vendorIDs: [Self.vendor]))
        func parse(_ payloads: [Payload]) throws -> IKEAuth.Request {
            try IKEAuth.Request(Message(Self.header(.ikeAuth, response: false, id: 1), payloads).opened())
        }
        #expect(try parse(full.payloads) == full)
        try expectGrammar(
            full.payloads,
            mandatory: [.initiatorIdentification, .securityAssociation, .initiatorSelectors, .responderSelectors],
            single: [
                .initiatorIdentification, .responderIdentification, .authentication, .configuration,
                .securityAssociation, .initiatorSelectors, .responderSelectors,
            ], foreign: [.nonce(Samples.nonce), .eap(Samples.eap)], exchange: .ikeAuth
        ) { try parse($0).payloads }

        // EAP (RFC 7296 §2.16), no Child SA (RFC 6023), the proof at the end, nothing at all (RFC 4739).
        let rounds: [IKEAuth.Request] = [
            .identified(.init(identity: Samples.identity)), .eap(Samples.eap, notifies: []),
            .proof(Samples.authentication, notifies: [Self.notify]), .empty(notifies: []),
        ]
        for round in rounds { #expect(try parse(round.payloads) == round) }
        #expect(throws: GrammarError.unexpected(.authentication, .ikeAuth)) {
            try parse([.eap(Samples.eap), .authentication(Samples.authentication)])
        }
    }

    @Test func ikeAuthResponse() throws {
        let full = IKEAuth.Response.authenticated(
            .init(
                identity: Samples.identity, certificates: [Self.certificate], authentication: Samples.authentication,
                configuration: Samples.configuration, child: Self.child, notifies: [Self.notify],
                vendorIDs: [Self.vendor]))
        func parse(_ payloads: [Payload]) throws -> IKEAuth.Response {
            try IKEAuth.Response(Message(Self.header(.ikeAuth, response: true, id: 1), payloads).opened())
        }
        #expect(try parse(full.payloads) == full)
        try expectGrammar(
            full.payloads,
            mandatory: [.authentication, .securityAssociation, .initiatorSelectors, .responderSelectors],
            single: [
                .responderIdentification, .authentication, .configuration, .securityAssociation, .initiatorSelectors,
                .responderSelectors,
            ], foreign: [.nonce(Samples.nonce), .initiatorIdentification(Samples.identity)], exchange: .ikeAuth
        ) { try parse($0).payloads }

        let others: [IKEAuth.Response] = [
            // AUTH is right, the Child SA is refused.
            .authenticated(
                .init(
                    identity: Samples.identity, authentication: Samples.authentication,
                    notifies: [NotifyPayload(.tsUnacceptable)])),
            .eap(.init(identity: Samples.identity, authentication: Samples.authentication, eap: Samples.eap)),
            .eap(.init(eap: Samples.eap)), .child(Self.child, configuration: nil, notifies: []),
            .child(nil, configuration: Samples.configuration, notifies: []), .notified([], vendorIDs: []),
            .notified([NotifyPayload(.authenticationFailed)], vendorIDs: []),
        ]
        for other in others { #expect(try parse(other.payloads) == other) }
        for payloads: [Payload] in [
            [.responderIdentification(Samples.identity)], [.certificate(Self.certificate), .notify(Self.failure)],
        ] {
            #expect(throws: GrammarError.missing(.authentication, .ikeAuth)) { try parse(payloads) }
        }
        #expect(throws: GrammarError.unexpected(.configuration, .ikeAuth)) {
            try parse([.eap(Samples.eap), .configuration(Samples.configuration)])
        }
    }

    @Test(arguments: [false, true]) func createChildSA(_ response: Bool) throws {
        let header = Self.header(.createChildSA, response: response, id: 2)
        func parse(_ payloads: [Payload]) throws -> [Payload] {
            let opened = try Message(header, payloads).opened()
            return response ? try CreateChildSA.Response(opened).payloads : try CreateChildSA.Request(opened).payloads
        }
        let rekey = NotifyPayload(.rekeySA, .esp, spi: 77)
        let child = CreateChildSA.Child(
            negotiation: Self.child, nonce: Samples.nonce, keyExchange: Samples.keyExchange,
            configuration: Samples.configuration, notifies: [rekey, Self.notify], vendorIDs: [Self.vendor])
        #expect(child.rekeyed?.spi32 == 77)
        try expectGrammar(
            CreateChildSA.Request.child(child).payloads,
            mandatory: [.securityAssociation, .nonce, .initiatorSelectors, .responderSelectors],
            single: [.securityAssociation, .nonce, .keyExchange, .configuration, .initiatorSelectors],
            foreign: [.authentication(Samples.authentication)], exchange: .createChildSA, parse)

        let rekeying = CreateChildSA.Rekeying(
            securityAssociation: SecurityAssociationPayload([Samples.rekeyProposal]), nonce: Samples.nonce,
            keyExchange: Samples.keyExchange, notifies: [Self.notify], vendorIDs: [Self.vendor])
        try expectGrammar(
            CreateChildSA.Request.ikeSA(rekeying).payloads, mandatory: [.securityAssociation, .nonce, .keyExchange],
            single: [.securityAssociation, .nonce, .keyExchange],
            foreign: [.initiatorSelectors(Samples.selectors4)], exchange: .createChildSA, parse)
    }

    @Test func aResponseChoosesExactlyOneProposal() throws {
        func doubled(_ proposal: WireProposal) -> SecurityAssociationPayload {
            SecurityAssociationPayload([proposal, proposal])
        }
        var child = Self.child
        child.securityAssociation = doubled(Samples.espProposal)
        let auth = IKEAuth.Response.authenticated(
            .init(identity: Samples.identity, authentication: Samples.authentication, child: child))
        let authenticated = try Message(Self.header(.ikeAuth, response: true, id: 1), auth.payloads).opened()
        #expect(throws: GrammarError.ambiguousChoice(proposals: 2, .ikeAuth)) { try IKEAuth.Response(authenticated) }

        let header = Self.header(.createChildSA, response: true, id: 2)
        let responses: [CreateChildSA.Response] = [
            .child(.init(negotiation: child, nonce: Samples.nonce)),
            .ikeSA(
                .init(
                    securityAssociation: doubled(Samples.rekeyProposal), nonce: Samples.nonce,
                    keyExchange: Samples.keyExchange)),
        ]
        for response in responses {
            let opened = try Message(header, response.payloads).opened()
            #expect(throws: GrammarError.ambiguousChoice(proposals: 2, .createChildSA)) {
                try CreateChildSA.Response(opened)
            }
        }
        // An offer may hold several.
        let offer = try Message(Self.header(.createChildSA, response: false, id: 2), responses[0].payloads).opened()
        #expect(try CreateChildSA.Request(offer).payloads == responses[0].payloads)
    }

    @Test func createChildSARefusal() throws {
        let header = Self.header(.createChildSA, response: true, id: 2)
        let opened = try Message(header, [.notify(Self.failure)]).opened()
        #expect(try CreateChildSA.Response(opened) == .notified([Self.failure]))
        let empty = try Message(header, []).opened()
        #expect(throws: GrammarError.missing(.securityAssociation, .createChildSA)) {
            try CreateChildSA.Response(empty)
        }
        #expect(throws: GrammarError.wrongDirection(.createChildSA, isResponse: true)) {
            try CreateChildSA.Request(opened)
        }
    }

    @Test(arguments: [false, true]) func informational(_ response: Bool) throws {
        let message = Informational(
            isResponse: response, deletes: [DeletePayload(.children(.esp, spis: [5])), DeletePayload(.ikeSA)],
            notifies: [Self.notify], configuration: Samples.configuration, vendorIDs: [Self.vendor])
        #expect(message.deletesIKESA)
        let header = Self.header(.informational, response: response, id: 5)
        try expectGrammar(
            message.payloads, mandatory: [], single: [.configuration], foreign: [.nonce(Samples.nonce)],
            exchange: .informational
        ) { try Informational(Message(header, $0).opened()).payloads }
        #expect(try Informational(Message(header, []).opened()) == Informational(isResponse: response))
    }

    @Test func aNotificationInClear() throws {
        let header = Self.header(.informational, response: false, id: 0)
        let lost = NotifyPayload(.invalidIKESPI)
        #expect(try UnprotectedNotification(Message(header, [.notify(lost)])).notifies == [lost])
        #expect(throws: GrammarError.missing(.notify, .informational)) {
            try UnprotectedNotification(Message(header, []))
        }
        #expect(throws: GrammarError.unexpected(.delete, .informational)) {
            try UnprotectedNotification(Message(header, [.notify(lost), .delete(DeletePayload(.ikeSA))]))
        }
    }

    @Test(arguments: [false, true]) func ikeIntermediate(_ response: Bool) throws {
        let message = IKEIntermediate(
            isResponse: response, keyExchange: Samples.keyExchange, notifies: [Self.notify], vendorIDs: [Self.vendor])
        let header = Self.header(.ikeIntermediate, response: response, id: 1)
        try expectGrammar(
            message.payloads, mandatory: [], single: [.keyExchange], foreign: [.nonce(Samples.nonce)],
            exchange: .ikeIntermediate
        ) { try IKEIntermediate(Message(header, $0).opened()).payloads }
    }

    @Test func ikeFollowupKE() throws {
        let request = IKEFollowupKE.Request(keyExchange: Samples.keyExchange, link: [7, 8], notifies: [Self.notify])
        let asked = Self.header(.ikeFollowupKE, response: false, id: 3)
        try expectGrammar(
            request.payloads, mandatory: [.keyExchange], single: [.keyExchange], foreign: [.nonce(Samples.nonce)],
            exchange: .ikeFollowupKE
        ) { try IKEFollowupKE.Request(Message(asked, $0).opened()).payloads }
        let unlinked = try Message(asked, [.keyExchange(Samples.keyExchange)]).opened()
        #expect(throws: GrammarError.missingNotify(.additionalKeyExchange, .ikeFollowupKE)) {
            try IKEFollowupKE.Request(unlinked)
        }
        let answered = Self.header(.ikeFollowupKE, response: true, id: 3)
        let responses: [IKEFollowupKE.Response] = [
            .complete(.init(keyExchange: Samples.keyExchange, link: nil)),
            .complete(.init(keyExchange: Samples.keyExchange, link: [1])), .notified([NotifyPayload(.stateNotFound)]),
        ]
        for response in responses {
            #expect(try IKEFollowupKE.Response(Message(answered, response.payloads).opened()) == response)
        }
        let empty = try Message(answered, []).opened()
        #expect(throws: GrammarError.missing(.keyExchange, .ikeFollowupKE)) { try IKEFollowupKE.Response(empty) }
    }

    @Test func ikeSessionResume() throws {
        let request = IKESessionResume.Request(
            nonce: Samples.nonce, ticket: [3, 4], notifies: [NotifyPayload(.cookie, [1]), Self.notify])
        try expectGrammar(
            request.payloads, mandatory: [.nonce], single: [.nonce], foreign: [.keyExchange(Samples.keyExchange)],
            exchange: .ikeSessionResume
        ) { try IKESessionResume.Request(Message(Self.header(.ikeSessionResume, response: false), $0)).payloads }
        #expect(throws: GrammarError.missingNotify(.ticketOpaque, .ikeSessionResume)) {
            try IKESessionResume.Request(
                Message(Self.header(.ikeSessionResume, response: false), [.nonce(Samples.nonce)]))
        }
        let answered = Self.header(.ikeSessionResume, response: true)
        for response: IKESessionResume.Response in [
            .complete(nonce: Samples.nonce, notifies: [Self.notify]), .notified([NotifyPayload(.ticketNack)]),
        ] {
            #expect(try IKESessionResume.Response(Message(answered, response.payloads)) == response)
        }
    }
}
