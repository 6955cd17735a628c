import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// Fragments of messages on their way in and out (RFC 7383): when to cut, and what to do with a part.
extension SessionContext {
    /// How long the missing fragments of a message are waited for.
    static let reassemblyTime = Interval.seconds(60)

    /// What both ends say in IKE_SA_INIT; nothing where the configuration wants no fragments.
    var fragmentationNotifies: [NotifyPayload] {
        connection.fragmentation == .no ? [] : [NotifyPayload(.fragmentationSupported)]
    }

    /// The longest sealed message that travels whole on this path, from its IKE header on; nil where none is cut.
    func longestWhole(_ path: Path, _ socket: IKESocket) -> Int? {
        guard peerTakesFragments, connection.fragmentation.isSent else { return nil }
        let isV4 = path.remote.address.family == .v4
        let packet = connection.fragmentSize > 0 ? connection.fragmentSize : isV4 ? 576 : 1280
        // IP header, UDP header, non-ESP marker.
        return packet - (isV4 ? 20 : 40) - 8 - (socket == .natTraversal ? 4 : 0)
    }

    /// Takes a fragment in.
    /// - Returns: The message, when this was the last fragment that was missing.
    /// - Throws: ``PeerFault/partial`` while others are missing; else what the fragment did wrong.
    func collect(
        _ message: SealedMessage, _ place: EncryptedPayload.Fragment, _ keys: SessionKeys, _ arrival: Arrival,
        _ turn: inout Turn
    ) throws(PeerFault) -> OpenedMessage {
        let header = message.header
        // What nobody waits for costs no work.
        var said: [[UInt8]]?
        if header.isResponse {
            guard requests.isAnswered(by: header.messageID, header.exchange) else {
                throw .unexpected("a response to nothing")
            }
        } else {
            switch responses.judge(header.messageID) {
            case .fresh: break
            case .replay(let datagrams) where place.number == 1: said = datagrams
            case .replay: throw .partial
            case .suspended, .stale, .future: throw .outsideWindow(header.messageID)
            }
        }
        if said == nil, reassembly.holds(place, of: header) { throw .partial }
        let fragment = try read(header) { () throws(GrammarError) in try keys.openFragment(message) }
        hear(header, turn)
        let kind = header.isResponse ? "response" : "request"
        let line = "\(header.exchange) \(kind) \(header.messageID) [ SKF \(place.number)/\(place.total) ]"
        publish(message: .received(line, bytes: arrival.byteCount, arrival.path), &turn)
        if let said {
            // The whole train comes again; its first fragment stands for it (RFC 7383 §2.6.1).
            repeatResponse(said, header.messageID, arrival, &turn)
            throw .partial
        }
        let limit = established == nil ? Reassembly.maximumBeforeAuthentication : Message.maximumLength
        switch reassembly.add(fragment, limit: limit) {
        case .kept:
            timers.set(.reassembly, to: turn.now + Self.reassemblyTime)
            throw .partial
        case .refused(let why): throw .unexpected(why)
        case .complete(let fragments):
            if reassembly.isEmpty { timers.remove(.reassembly) }
            let opened = try read(header) { () throws(GrammarError) in try OpenedMessage(joining: fragments) }
            count(header, isSent: false, &turn)
            publish(message: .received(opened.description, bytes: opened.intermediateOctets.count, arrival.path), &turn)
            return opened
        }
    }

    private func read<Result>(
        _ header: IKEHeader, _ body: () throws(GrammarError) -> Result
    ) throws(PeerFault) -> Result {
        do throws(GrammarError) { return try body() } catch { throw PeerFault(error, opening: header) }
    }
}
