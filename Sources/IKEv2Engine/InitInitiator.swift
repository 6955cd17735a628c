import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes

/// The initiator of IKE_SA_INIT, waiting for the answer (RFC 7296 §1.2, §2.6, §2.7).
///
/// It owns the ephemeral private value, which goes when the answer has come. Whatever comes here is unauthenticated: it
/// may end this attempt, and nothing else.
struct InitInitiator: ~Copyable {
    /// The most cookies that are answered, and the most other groups that are tried, in one attempt.
    static let retryLimits = (cookies: 3, groups: 2)

    private let agreement: KeyAgreement
    @Held private var request: IKESAInit.Request
    private let datagram: [UInt8]
    private let offer: [Proposal]
    private let cookies: Int
    private let groups: Int

    /// Sends the first request, with a key exchange in the first group of the first proposal.
    static func start(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        let offer = context.configured.ikeOffer
        guard let group = offer.lazy.compactMap({ $0.first(.keyExchange) }).first else {
            return Self.failed(.noIKEProposal(ours: offer, theirs: []), context, &turn)
        }
        let nonce = turn.environment.entropy.bytes(32)
        let notifies =
            NATDetection.offer(
                initiatorSPI: context.initiatorSPI, responderSPI: 0, path: context.path,
                pretending: context.pretendsNAT, &turn.environment.entropy) + context.extensionOffer
            + context.hashNotifies + context.redirectNotifies
            + (offer.contains { $0.hasAdditionalKeyExchange } ? [NotifyPayload(.intermediateExchangeSupported)] : [])
        do throws(KeyAgreementError) {
            let agreement = try KeyAgreement(group: group, entropy: &turn.environment.entropy)
            let request = IKESAInit.Request(
                offer: SecurityAssociationPayload(Self.wire(offer)),
                keyExchange: KeyExchangePayload(method: group.id, data: agreement.publicValue),
                nonce: NoncePayload(nonce), notifies: notifies, vendorIDs: context.connection.vendorIDs)
            return Self.send(request, agreement, offer, cookies: 0, groups: 0, context, &turn)
        } catch {
            return Self.failed(.badKeyExchange(group: group, reason: error.description), context, &turn)
        }
    }

    private static func wire(_ offer: [Proposal]) -> [WireProposal] {
        offer.enumerated().map { WireProposal(number: UInt8(truncatingIfNeeded: $0 + 1), $1, spi: []) }
    }

    private static func send(
        _ request: IKESAInit.Request, _ agreement: KeyAgreement, _ offer: [Proposal], cookies: Int, groups: Int,
        _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard let datagram = context.request(.ikeSAInit, request.payloads, nil, &turn) else {
            return .closed(.failed(.malformed(exchange: "IKE_SA_INIT", reason: "ours can't be written")))
        }
        return .initiating(
            InitInitiator(
                agreement: agreement, request: request, datagram: datagram, offer: offer, cookies: cookies,
                groups: groups))
    }

    private static func failed(_ refusal: Refusal, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.refuse(refusal, &turn)
        return .closed(.failed(refusal))
    }

    /// A message in clear came.
    consuming func receive(
        _ message: Message, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard message.header.isResponse, message.header.initiatorSPI == context.initiatorSPI,
            arrival.path.remote == context.path.remote,
            context.requests.isAnswered(by: message.header.messageID, message.header.exchange)
        else {
            context.drop(.unexpected("not an answer to our IKE_SA_INIT"), arrival, &turn)
            return .initiating(self)
        }
        let response: IKESAInit.Response
        do throws(GrammarError) {
            response = try IKESAInit.Response(message)
        } catch {
            // Anybody can send this: go on waiting for a better one.
            context.drop(.malformed(error.description), arrival, &turn)
            return .initiating(self)
        }
        context.count(message.header, isSent: false, &turn)
        context.publish(message: .received(message.description, bytes: arrival.byteCount, arrival.path), &turn)
        switch response {
        case .notified(let notifies, _): return notified(notifies, arrival, context, &turn)
        case .complete(let answer):
            return complete(answer, message, context, arrival, &turn)
        }
    }

    /// An answer without a key exchange.
    private consuming func notified(
        _ notifies: [NotifyPayload], _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        if let cookie = notifies.first(.cookie) {
            guard (1...64).contains(cookie.data.count), cookies < Self.retryLimits.cookies,
                cookie.data != request.notifies.first(.cookie)?.data
            else {
                context.drop(.unexpected("a cookie too many"), arrival, &turn)
                return .initiating(self)
            }
            context.publish(.cookieDemanded(byUs: false), &turn)
            var next = request
            next.notifies.removeAll { $0.type == .cookie }
            next.notifies.append(NotifyPayload(.cookie, cookie.data))
            context.requests.restart()
            return Self.send(next, agreement, offer, cookies: cookies + 1, groups: groups, context, &turn)
        }
        if let redirect = notifies.first(.redirect) {
            guard let redirect = RedirectNotification(redirect.data), redirect.nonce == request.nonce.nonce,
                context.connection.followsRedirects
            else {
                // Somebody who has not seen our request, or whom we have not told that we follow (RFC 5685 §3).
                context.drop(.unexpected("a redirection that does not answer our request"), arrival, &turn)
                return .initiating(self)
            }
            return context.restart(at: redirect.gateway, &turn)
        }
        if let wanted = notifies.first(.invalidKEPayload) { return anotherGroup(wanted, arrival, context, &turn) }
        guard let error = notifies.firstError else {
            context.drop(.unexpected("an answer that says nothing"), arrival, &turn)
            return .initiating(self)
        }
        context.requests.close()
        return Self.failed(
            .byPeer(
                notify: error.type.rawValue, name: error.type.description, exchange: "IKE_SA_INIT",
                offer: context.offer(offer)), context, &turn)
    }

    /// The responder wants a key exchange in another group: one that we offered, and not the same again (RFC 7296 §1.2).
    private consuming func anotherGroup(
        _ notify: NotifyPayload, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let present = agreement.group
        let number = notify.data.count == 2 ? UInt16(notify.data[0]) << 8 | UInt16(notify.data[1]) : 0
        let wanted = offer.lazy.flatMap { $0.transforms(of: .keyExchange) }.first { $0.id == number }
        guard wanted != present else {
            // The same demand once more: it was meant for a request before this one.
            context.drop(.unexpected("INVALID_KE_PAYLOAD for the group in use"), arrival, &turn)
            return .initiating(self)
        }
        guard let wanted, groups < Self.retryLimits.groups else {
            context.requests.close()
            return Self.failed(
                .choseWhatWasNotOffered(what: "key exchange \(Transform(.keyExchange, number))"), context, &turn)
        }
        do throws(KeyAgreementError) {
            let fresh = try KeyAgreement(group: wanted, entropy: &turn.environment.entropy)
            context.publish(.keyExchangeRetried(from: present, to: wanted), &turn)
            var next = request
            next.keyExchange = KeyExchangePayload(method: wanted.id, data: fresh.publicValue)
            context.requests.restart()
            return Self.send(next, fresh, offer, cookies: cookies, groups: groups + 1, context, &turn)
        } catch {
            context.requests.close()
            return Self.failed(.badKeyExchange(group: wanted, reason: error.description), context, &turn)
        }
    }

    /// The responder chose.
    private consuming func complete(
        _ answer: IKESAInit.Response.Complete, _ message: Message, _ context: SessionContext, _ arrival: Arrival,
        _ turn: inout Turn
    ) -> Phase {
        context.requests.close()
        guard let chosen = answer.choice.proposal, chosen.securityProtocol == .ike,
            offer.contains(where: { $0.allows(answer: chosen) }), let suite = KeySchedule.Suite(chosen),
            chosen.first(.keyExchange) == agreement.group, answer.keyExchange.method == agreement.group.id
        else {
            let text = answer.choice.proposal?.transforms.map(\.description).joined(separator: "-")
            return Self.failed(
                .choseWhatWasNotOffered(what: "IKE proposal \(text ?? "that we do not understand")"), context, &turn)
        }
        let methods = chosen.additionalKeyExchanges
        guard methods.isEmpty || answer.notifies.contains(.intermediateExchangeSupported) else {
            return Self.failed(
                .choseWhatWasNotOffered(what: "additional key exchanges without IKE_INTERMEDIATE"), context, &turn)
        }
        context.peerIsStrongSwan = answer.vendorIDs.contains(.strongSwan)
        guard context.peerIsStrongSwan || chosen.withoutPrivateNumbers != nil else {
            return Self.failed(
                .choseWhatWasNotOffered(what: "an algorithm with a private number without showing whose it is"),
                context,
                &turn)
        }
        context.responderSPI = message.header.responderSPI
        let keys: SessionKeys
        do throws(KeyAgreementError) {
            let secret = try agreement.sharedSecret(with: answer.keyExchange.data)
            let schedule = KeySchedule(
                suite, sharedSecret: secret, initiatorNonce: request.nonce.nonce,
                responderNonce: answer.nonce.nonce, initiatorSPI: context.initiatorSPI,
                responderSPI: context.responderSPI)
            guard let schedule, let made = SessionKeys(suite, schedule, isInitiator: true) else {
                throw .libraryRefused(agreement.group)
            }
            keys = made
        } catch {
            return Self.failed(.badKeyExchange(group: agreement.group, reason: error.description), context, &turn)
        }
        turn.expose(keys, intermediate: methods.isEmpty ? nil : 1, context)
        context.algorithms = chosen
        context.publish(.ikeProposalChosen(chosen), &turn)
        context.nat = NATDetection.found(
            in: answer.notifies, initiatorSPI: context.initiatorSPI, responderSPI: context.responderSPI,
            path: arrival.path)
        context.publish(.natDetected(local: context.nat.isLocal, remote: context.nat.isRemote), &turn)
        context.takeExtensions(answer.notifies)
        context.rounds.isSpoken = answer.notifies.contains(.multipleAuthSupported)
        context.signatures = context.signatures.after {
            $0.learn(answer.notifies)
            $0.learn(answer.certificateRequests)
            $0.learnMethods(answer.notifies)
        }
        context.floatAsInitiator(&turn)
        let transcript = Transcript(
            request: datagram, response: arrival.bytes, initiatorNonce: request.nonce.nonce,
            responderNonce: answer.nonce.nonce)
        return IntermediateInitiator.start(keys, transcript, methods, context, &turn)
    }
}

/// What IKE_SA_INIT leaves for IKE_AUTH to prove: both messages and both nonces (RFC 7296 §2.15).
struct Transcript {
    /// The request exactly as it travelled, the one that was answered.
    let request: [UInt8]
    /// The response exactly as it travelled.
    let response: [UInt8]
    /// Ni.
    let initiatorNonce: [UInt8]
    /// Nr.
    let responderNonce: [UInt8]
    /// What IKE_INTERMEDIATE exchanges add (RFC 9242 §3.3); nothing where there were none.
    var intermediate: [UInt8] = []

    /// What the initiator proves.
    func initiatorProof(_ identityBody: [UInt8], _ keys: SessionKeys) -> [UInt8] {
        KeySchedule.proofOctets(
            firstMessage: request, otherNonce: responderNonce, identityBody: identityBody, intermediate: intermediate,
            prf: keys.suite.prf, key: keys.initiatorProof)
    }

    /// What the responder proves.
    func responderProof(_ identityBody: [UInt8], _ keys: SessionKeys) -> [UInt8] {
        KeySchedule.proofOctets(
            firstMessage: response, otherNonce: initiatorNonce, identityBody: identityBody, intermediate: intermediate,
            prf: keys.suite.prf, key: keys.responderProof)
    }
}

extension SessionContext {
    /// With a NAT on the way, or one that we pretend, everything from here on goes between the NAT traversal ports, and
    /// ESP travels in UDP (RFC 7296 §2.23).
    func floatAsInitiator(_ turn: inout Turn) {
        guard nat.isSupported, nat.isAny || pretendsNAT else { return }
        encapsulation = .udp
        guard socket == .plain else { return }
        let before = path
        socket = .natTraversal
        path.local.port = turn.configuration.natTraversalPort
        path.remote.port = connection.remoteNATTraversalPort
        publish(.pathChanged(from: before, to: path), &turn)
    }
}
