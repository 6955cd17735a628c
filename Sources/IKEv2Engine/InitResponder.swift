import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes

/// The responder of IKE_SA_INIT (RFC 7296 §1.2, §2.6, §2.7): everything that is decided before anything is remembered.
///
/// It owns no state. What comes here is unauthenticated and may be forged: it costs a parse and a hash until the peer has
/// shown its return path, and one ephemeral key after that.
enum InitResponder {
    /// The longest request that is taken: it has to be kept until IKE_AUTH, whose proof covers it.
    static let longestRequest = 8192
    /// How many times as long as the request the answer may be: who has not shown that it receives what we send to its
    /// address may be somebody else, who wants us to send it there.
    static let amplification = 3

    /// What a request leads to.
    enum Outcome {
        /// The answer is this notification, and nothing is remembered.
        case answer(NotifyPayload, Refusal?, connection: String?)
        /// It is dropped.
        case drop(Event.DropReason, Refusal?)
        /// It is accepted.
        case accept(Acceptance)
    }

    /// An accepted request: what the answer is made from.
    struct Acceptance {
        let connection: ConfiguredConnection
        let proposal: Proposal
        let number: UInt8
        let suite: KeySchedule.Suite
        let group: Transform
        /// All connections that suit the path.
        let candidates: [ConfiguredConnection]
        /// Whether the request has brought a cookie.
        let isProven: Bool
    }

    /// Decides about a request.
    static func judge(
        _ request: IKESAInit.Request, _ header: IKEHeader, _ arrival: Arrival, _ turn: inout Turn
    ) -> Outcome {
        guard arrival.byteCount <= longestRequest else { return .drop(.malformed("IKE_SA_INIT too long"), nil) }
        guard !turn.tables.isShuttingDown else { return .drop(.unexpected("the gateway stops"), nil) }
        let address = arrival.path.remote.address
        var isProven = false
        switch turn.tables.governor.verdict(for: address, turn.configuration.limits) {
        case .refuse: return .drop(.tooManyHalfOpen, .tooManyHalfOpen(arrival.path, ofAddress: true))
        case .demandCookie:
            let nonce = request.nonce.nonce
            let spi = header.initiatorSPI
            let cookie = request.notifies.first(.cookie)?.data ?? []
            isProven = turn.tables.cookies.accepts(cookie, nonce: nonce, address: address, spi: spi, now: turn.now)
            if isProven { break }
            let wanted = turn.tables.cookies.cookie(
                nonce: nonce, address: address, spi: spi, now: turn.now, &turn.environment.entropy)
            return .answer(NotifyPayload(.cookie, wanted), nil, connection: nil)
        case .admit: break
        }
        let candidates = turn.tables.directory.candidates(for: arrival.path)
        return choose(request, candidates, arrival.path, isProven: isProven)
    }

    /// The first candidate that has a proposal in common with the offer.
    private static func choose(
        _ request: IKESAInit.Request, _ candidates: [ConfiguredConnection], _ path: Path, isProven: Bool
    ) -> Outcome {
        guard let first = candidates.first else {
            return .answer(NotifyPayload(.noProposalChosen), .noConnection(path), connection: nil)
        }
        var numbers: [UInt8] = []
        var theirs: [Proposal] = []
        for wire in request.offer.proposals where wire.securityProtocol == .ike {
            guard let proposal = wire.proposal else { continue }
            numbers.append(wire.number)
            theirs.append(proposal)
        }
        if let redirection = first.connection.redirection, redirection.moment == .initiation,
            request.notifies.followsRedirects, redirection.gateway != .address(path.local.address)
        {
            // It is no longer than the request, and nothing is remembered.
            let data = RedirectNotification(redirection.gateway, nonce: request.nonce.nonce).data
            return .answer(NotifyPayload(.redirect, data), nil, connection: first.connection.name)
        }
        let isStrongSwan = request.vendorIDs.contains(.strongSwan)
        for candidate in candidates {
            let ours = isStrongSwan ? candidate.ikeOffer : candidate.publicIKEOffer
            guard let selection = Proposal.select(from: theirs, configured: ours),
                let suite = KeySchedule.Suite(selection.proposal),
                selection.proposal.additionalKeyExchanges.isEmpty
                    || request.notifies.contains(.intermediateExchangeSupported),
                let group = selection.proposal.first(.keyExchange)
            else { continue }
            guard request.keyExchange.method == group.id else {
                let number = [UInt8(truncatingIfNeeded: group.id >> 8), UInt8(truncatingIfNeeded: group.id)]
                return .answer(NotifyPayload(.invalidKEPayload, number), nil, connection: candidate.connection.name)
            }
            guard request.keyExchange.data.count == KeyAgreement.publicValueLength(of: group) else {
                let refusal = Refusal.badKeyExchange(
                    group: group, reason: "the public value has \(request.keyExchange.data.count) octets")
                return .answer(NotifyPayload(.invalidSyntax), refusal, connection: candidate.connection.name)
            }
            return .accept(
                Acceptance(
                    connection: candidate, proposal: selection.proposal, number: numbers[selection.offeredIndex],
                    suite: suite, group: group, candidates: candidates, isProven: isProven))
        }
        return .answer(
            NotifyPayload(.noProposalChosen),
            .noIKEProposal(ours: first.ikeOffer, theirs: theirs, isFixed: first.connection.hasFixedAlgorithms),
            connection: first.connection.name)
    }

    /// Answers an accepted request. From here on something is remembered.
    static func accept(
        _ acceptance: Acceptance, _ request: IKESAInit.Request, _ arrival: Arrival, _ context: SessionContext,
        _ turn: inout Turn
    ) -> HalfOpenResponder? {
        let agreement: KeyAgreement
        do throws(KeyAgreementError) {
            agreement = try KeyAgreement(group: acceptance.group, entropy: &turn.environment.entropy)
        } catch {
            context.refuse(.badKeyExchange(group: acceptance.group, reason: error.description), &turn)
            return nil
        }
        let nonce = turn.environment.entropy.bytes(32)
        context.nat = NATDetection.found(
            in: request.notifies, initiatorSPI: context.initiatorSPI, responderSPI: 0, path: arrival.path)
        context.peerIsStrongSwan = request.vendorIDs.contains(.strongSwan)
        context.redirects.peerFollows = request.notifies.followsRedirects
        var notifies: [NotifyPayload] = []
        notifies.reserveCapacity(8)
        if context.nat.isSupported {
            notifies += NATDetection.offer(
                initiatorSPI: context.initiatorSPI, responderSPI: context.responderSPI, path: arrival.path,
                pretending: context.pretendsNAT, &turn.environment.entropy)
            if context.nat.isAny || context.pretendsNAT { context.encapsulation = .udp }
        }
        context.answerExtensions(request.notifies, to: &notifies)
        let methods = acceptance.proposal.additionalKeyExchanges
        if !methods.isEmpty { notifies.append(NotifyPayload(.intermediateExchangeSupported)) }
        context.signatures = context.signatures.after { $0.learn(request.notifies) }
        context.algorithms = acceptance.proposal
        let candidates = context.candidates(among: acceptance.candidates)
        notifies += context.hashNotifies(for: candidates)
        notifies += SessionContext.roundNotifies(for: candidates)
        let requests = SignatureAgreement.requests(candidates)
        let announced = AnnouncedMethods.notifies(candidates, beside: requests)
        notifies += announced
        context.publish(.ikeProposalChosen(acceptance.proposal), &turn)
        context.publish(.natDetected(local: context.nat.isLocal, remote: context.nat.isRemote), &turn)
        let header = IKEHeader(
            initiatorSPI: context.initiatorSPI, responderSPI: context.responderSPI, exchange: .ikeSAInit,
            flags: .response, messageID: 0)
        func written(_ requests: [CertificateRequestPayload], _ notifies: [NotifyPayload]) -> Message {
            let answer = IKESAInit.Response.complete(
                IKESAInit.Response.Complete(
                    choice: WireProposal(number: acceptance.number, acceptance.proposal, spi: []),
                    keyExchange: KeyExchangePayload(method: acceptance.group.id, data: agreement.publicValue),
                    nonce: NoncePayload(nonce), certificateRequests: requests, notifies: notifies,
                    vendorIDs: acceptance.connection.connection.vendorIDs))
            return Message(header, answer.payloads)
        }
        var message = written(requests, notifies)
        guard var response = try? message.encoded() else { return nil }
        let most = acceptance.isProven ? Int.max : amplification * arrival.byteCount
        for extras in [announced, []] where response.count > most {
            message = written(
                SignatureAgreement.shortened(requests), notifies.filter { !announced.contains($0) } + extras)
            response = (try? message.encoded()) ?? response
        }
        context.count(header, isSent: true, &turn)
        context.publish(message: .sent(message.description, bytes: response.count, arrival.path), &turn)
        turn.send(response, arrival.path, arrival.socket)
        let transcript = Transcript(
            request: arrival.bytes, response: response, initiatorNonce: request.nonce.nonce, responderNonce: nonce)
        return HalfOpenResponder(
            agreement: agreement, peerValue: request.keyExchange.data, suite: acceptance.suite,
            transcript: transcript, methods: methods)
    }
}

/// The responder after its answer to IKE_SA_INIT. The key agreement, which costs the most, is put off until something comes
/// that looks like an IKE_AUTH: who only fills up our table never makes us compute it.
///
/// It owns the ephemeral private value.
struct HalfOpenResponder: ~Copyable {
    let agreement: KeyAgreement
    let peerValue: [UInt8]
    @Held var suite: KeySchedule.Suite
    let transcript: Transcript
    /// The additional key exchanges that come before IKE_AUTH.
    let methods: [Transform]

    /// A sealed message came.
    consuming func receive(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let expected = methods.isEmpty ? ExchangeType.ikeAuth : .ikeIntermediate
        guard message.header.exchange == expected, !message.header.isResponse, message.header.messageID == 1,
            message.payload.body.count >= (message.fragment == nil ? SessionKeys.smallestBody(suite) : 16)
        else {
            context.drop(.unexpected("\(message.header.exchange) before \(expected)"), arrival, &turn)
            return .halfOpen(self)
        }
        do throws(KeyAgreementError) {
            let secret = try agreement.sharedSecret(with: peerValue)
            let schedule = KeySchedule(
                suite, sharedSecret: secret, initiatorNonce: transcript.initiatorNonce,
                responderNonce: transcript.responderNonce, initiatorSPI: context.initiatorSPI,
                responderSPI: context.responderSPI)
            guard let schedule, let keys = SessionKeys(suite, schedule, isInitiator: false) else {
                throw .libraryRefused(agreement.group)
            }
            turn.expose(keys, intermediate: methods.isEmpty ? nil : 1, context)
            guard methods.isEmpty else {
                return IntermediateResponder(
                    keys: keys, transcript: transcript, proof: IntermediateProof(), methods: methods
                ).receive(message, arrival, context, &turn)
            }
            return AuthResponder(keys: keys, transcript: transcript).receive(message, arrival, context, &turn)
        } catch {
            let refusal = Refusal.badKeyExchange(group: agreement.group, reason: error.description)
            context.refuse(refusal, &turn)
            return .closed(.failed(refusal))
        }
    }
}
