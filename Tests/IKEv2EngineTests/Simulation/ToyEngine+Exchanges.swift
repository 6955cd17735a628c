import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import SimulatedNetwork
import WireFormat

/// The toy protocol's exchanges.
extension ToyEngine {
    func receive(_ datagram: Datagram, _ environment: inout Environment, _ effects: inout Effects) {
        let message = ToyMessage(datagram.bytes) { initiator, responder in
            self.sas.first { $0.spis == (initiator, responder) }?.key
        }
        guard let message else { return }
        let sa = sas.first {
            $0.spis.0 == message.initiatorSPI && $0.isInitiator != message.isFromInitiator
                && ($0.spis.1 == message.responderSPI || message.exchange == 34)
        }
        if message.isResponse {
            guard let sa, let request = sa.request, request.id == message.messageID else { return }
            if message.exchange != 34 || sa.spis.1 == 0 { response(sa, message, &environment, &effects) }
        } else if message.exchange == 34 {
            initRequest(sa, message, datagram, &environment, &effects)
        } else if let sa {
            request(sa, message, datagram, &environment, &effects)
        }
    }

    private func initRequest(
        _ known: SA?, _ message: ToyMessage, _ datagram: Datagram, _ environment: inout Environment,
        _ effects: inout Effects
    ) {
        if let known {
            guard let answered = known.answered, answered.id == 0 else { return }
            effects.append(.send(Datagram(answered.bytes, path: datagram.path, socket: datagram.socket)))
            return
        }
        let source = datagram.path.remote.address
        guard message.words.count == 3, let nonce = UInt64(message.words[1]),
            let connection = configuration.connections.first(where: { connection in
                connection.remoteAddresses.contains { $0.contains(source) }
            })
        else { return }
        let sa = SA(
            IKESAID(rawValue: nextSA), connection, isInitiator: false,
            spis: (message.initiatorSPI, environment.entropy.uint64() | 1), path: datagram.path,
            socket: datagram.socket, nonces: (nonce, environment.entropy.uint64()))
        nextSA += 1
        sas.append(sa)
        sa.pending = message
        let offered = ToyWords.proposals(message.words[2], .ike)
        guard let chosen = ToyWords.choice(offered, connection.proposals) else {
            respond(sa, ["E", "PROPOSAL"], &effects)
            let refusal = Refusal.noIKEProposal(ours: connection.proposals, theirs: offered)
            close(sa, .failed(refusal), refusal, &environment, &effects)
            return
        }
        sa.algorithms = chosen
        sa.deriveKey()
        sa.giveUpAt = environment.now + configuration.limits.halfOpenTimeout
        respond(sa, ["N", String(sa.nonces.1), ToyWords.text([chosen])], &effects)
    }

    private func request(
        _ sa: SA, _ message: ToyMessage, _ datagram: Datagram, _ environment: inout Environment,
        _ effects: inout Effects
    ) {
        if let answered = sa.answered, answered.id == message.messageID {
            effects.append(.send(Datagram(answered.bytes, path: datagram.path, socket: datagram.socket)))
            return
        }
        guard message.messageID == (sa.answered.map { $0.id + 1 } ?? 0), sa.pending == nil else { return }
        sa.path = datagram.path
        touch(sa, environment)
        if message.exchange == 37, sa.state == .established || sa.state == .deleting {
            sa.pending = message
            respond(sa, [""], &effects)
            if message.words == ["D"] { close(sa, .byPeer, nil, &environment, &effects) }
        } else if message.exchange == 35, !sa.isInitiator, sa.state == .connecting, message.words.count == 7 {
            sa.pending = message
            sa.peerIdentity = .fqdn(message.words[1])
            guard let peer = sa.peerIdentity, sa.connection.remote.identity?.matches(peer) == true else {
                respond(sa, ["E", "AUTH"], &effects)
                let refusal = Refusal.identityMismatch(
                    expected: sa.connection.remote.identity.map { [$0] } ?? [], received: .fqdn(message.words[1]))
                close(sa, .failed(refusal), refusal, &environment, &effects)
                return
            }
            let received = Hex.decode(message.words[2]) ?? []
            ask(sa, .verify, .verify(proof(sa, ours: false), received: received), &effects)
        }
    }

    private func response(
        _ sa: SA, _ message: ToyMessage, _ environment: inout Environment, _ effects: inout Effects
    ) {
        let exchange = message.exchange
        sa.request = nil
        sa.resendAt = nil
        touch(sa, environment)
        if exchange == 37 {
            if sa.state == .deleting {
                close(sa, .asked, nil, &environment, &effects)
            } else if sa.isDeleteWanted {
                sendDelete(sa, &environment, &effects)
            }
            return
        }
        guard message.words.first != "E" else {
            let refusal = Refusal.byPeer(
                notify: 24, name: message.words.last ?? "", exchange: "toy", offer: Refusal.Offer(path: sa.path))
            close(sa, .failed(refusal), refusal, &environment, &effects)
            return
        }
        if exchange == 34, message.words.count == 3, let nonce = UInt64(message.words[1]) {
            sa.spis.1 = message.responderSPI
            sa.nonces.1 = nonce
            sa.algorithms = ToyWords.proposals(message.words[2], .ike).first
            sa.deriveKey()
            sa.giveUpAt = environment.now + configuration.limits.answerTimeout
            ask(sa, .prove, .prove(proof(sa, ours: true)), &effects)
        } else if exchange == 35, message.words.count >= 3 {
            sa.pending = message
            sa.peerIdentity = .fqdn(message.words[1])
            sa.giveUpAt = environment.now + configuration.limits.answerTimeout
            let received = Hex.decode(message.words[2]) ?? []
            ask(sa, .verify, .verify(proof(sa, ours: false), received: received), &effects)
        }
    }

    private func proof(_ sa: SA, ours: Bool) -> Query.Proof {
        let own = sa.connection.local.identity ?? .fqdn("")
        let peer = sa.peerIdentity ?? .fqdn("")
        var octets = Hex.decode(Hex.encode(sa.key)) ?? []
        octets += (ours ? own : peer).data
        return Query.Proof(
            connection: sa.connection.name, method: .sharedKey, signer: ours ? own : peer, other: ours ? peer : own,
            prf: .prfsha256, octets: octets)
    }

    func proved(_ sa: SA, _ proof: String, _ environment: inout Environment, _ effects: inout Effects) {
        let own = sa.connection.local.identity.map { $0.description } ?? ""
        guard sa.isInitiator else {
            finish(sa, ["A", own, proof], &environment, &effects)
            return
        }
        sa.giveUpAt = nil
        sa.ownSPI = SPILayout.spi(index: Int(sa.id.rawValue), chance: environment.entropy.uint32())
        guard let child = sa.connection.child(named: sa.wanted), let near = child.localSelectors.first?.addresses,
            let far = child.remoteSelectors.first?.addresses
        else { return }
        let number = child.localSelectors[0].ipProtocol
        send(
            sa, 35,
            [
                "A", own, proof, String(sa.ownSPI), sa.wanted + " " + ToyWords.text(child.proposals),
                ToyWords.text(TrafficSelector(near, ipProtocol: number)),
                ToyWords.text(TrafficSelector(far, ipProtocol: number)),
            ], &environment, &effects)
    }

    func verified(_ sa: SA, _ environment: inout Environment, _ effects: inout Effects) {
        guard sa.isInitiator else {
            ask(sa, .prove, .prove(proof(sa, ours: true)), &effects)
            return
        }
        sa.giveUpAt = nil
        let answer = sa.pending
        sa.pending = nil
        establish(sa, &environment, &effects)
        guard let words = answer?.words, words.count == 7, let peerSPI = UInt32(words[3]),
            let far = ToyWords.selector(words[5]), let near = ToyWords.selector(words[6])
        else {
            let refusal = Refusal.byPeer(
                notify: 14, name: "child", exchange: "toy", offer: Refusal.Offer(path: sa.path))
            publish(sa, .refused(refusal, child: sa.wanted), environment, &effects)
            sa.ownSPI = 0
            return
        }
        install(sa, peerSPI, words[4], near, far, &effects) { _ in }
        if let child = sa.child { publish(sa, .childInstalled(child), environment, &effects) }
    }

    private func establish(_ sa: SA, _ environment: inout Environment, _ effects: inout Effects) {
        sa.state = .established
        touch(sa, environment)
        if sa.isInitiator {
            sa.isKeptAlive = true
            effects.append(.plane(.keepAlive(sa.path, every: configuration.limits.keepAlive)))
        }
        if let summary = summaries().first(where: { $0.id == sa.id }) {
            publish(sa, .ikeEstablished(summary), environment, &effects)
        }
    }

    /// The responder's last step: choose a child, install, answer.
    private func finish(_ sa: SA, _ words: [String], _ environment: inout Environment, _ effects: inout Effects) {
        guard let request = sa.pending?.words else { return }
        sa.giveUpAt = nil
        establish(sa, &environment, &effects)
        let parts = request[4].split(separator: " ").map { String($0) }
        let offered = ToyWords.proposals(parts.last ?? "", .esp)
        guard let template = sa.connection.child(named: parts[0]), let peerSPI = UInt32(request[3]),
            let asked = ToyWords.selector(request[5]), let ours = ToyWords.selector(request[6]),
            let chosen = ToyWords.choice(offered, template.proposals),
            let range = template.localSelectors.first?.addresses,
            let far = template.remoteSelectors.first?.addresses,
            let near = ours.intersection(TrafficSelector(range)),
            let theirs = asked.intersection(TrafficSelector(far))
        else {
            let refusal = Refusal.noChildProposal(child: parts[0], ours: [], theirs: offered)
            publish(sa, .refused(refusal, child: parts[0]), environment, &effects)
            respond(sa, words, &effects)
            return
        }
        sa.ownSPI = SPILayout.spi(index: Int(sa.id.rawValue), chance: environment.entropy.uint32())
        let name = parts[0] + " " + ToyWords.text([chosen])
        let answer = words + [String(sa.ownSPI), name, ToyWords.text(near), ToyWords.text(theirs)]
        install(sa, peerSPI, name, near, theirs, &effects) { effects in self.respond(sa, answer, &effects) }
        if let child = sa.child { publish(sa, .childInstalled(child), environment, &effects) }
    }

    private func install(
        _ sa: SA, _ peerSPI: UInt32, _ name: String, _ near: TrafficSelector, _ far: TrafficSelector,
        _ effects: inout Effects, between: (inout Effects) -> Void
    ) {
        let parts = name.split(separator: " ").map { String($0) }
        let algorithms = ToyWords.proposals(parts.last ?? "", .esp).first ?? Proposal(.esp, [])
        let id = ChildSAID(rawValue: sa.id.rawValue)
        sa.child = ChildSASummary(
            id: id, name: parts[0], state: .installed, mode: .tunnel, encapsulation: .none, inboundSPI: sa.ownSPI,
            outboundSPI: peerSPI, algorithms: algorithms, localSelectors: [near], remoteSelectors: [far])
        func association(_ direction: SecurityAssociation.Direction, _ spi: UInt32) -> SecurityAssociation {
            SecurityAssociation(
                direction: direction, spi: spi, child: id, mode: .tunnel,
                encryption: algorithms.first(.encryption) ?? .aes128, integrity: algorithms.first(.integrity),
                usesExtendedSequenceNumbers: algorithms.first(.sequenceNumbers) == .esn,
                encryptionKey: SecretBytes(Hex.decode(Hex.encode(sa.key ^ UInt64(spi))) ?? []),
                integrityKey: SecretBytes([]), path: sa.path, encapsulation: .none, replayWindow: 64,
                localSelectors: [near], remoteSelectors: [far])
        }
        effects.append(.plane(.install(association(.inbound, sa.ownSPI))))
        between(&effects)
        effects.append(.plane(.install(association(.outbound, peerSPI))))
        effects.append(.plane(.protect(id, local: [near], remote: [far], spi: peerSPI)))
    }
}
