import IKEMessages
import IPsecCrypto
import WireFormat

/// What IKE_INTERMEDIATE exchanges leave for IKE_AUTH to prove: a chain over all requests, and one over all responses
/// (RFC 9242 §3.3).
///
/// It owns both chains. It never looks at what the messages say.
struct IntermediateProof {
    private var requests: [UInt8] = []
    private var responses: [UInt8] = []

    /// One more exchange, under the keys that protected it.
    mutating func add(request: [UInt8], response: [UInt8], _ keys: SessionKeys) {
        let prf = keys.suite.prf
        requests = prf.compute(key: keys.initiatorProof, parts: [requests, request]).exposedBytes()
        responses = prf.compute(key: keys.responderProof, parts: [responses, response]).exposedBytes()
    }

    /// What AUTH covers besides everything else; `messageID` is that of the first IKE_AUTH request. Nothing when there
    /// was no such exchange.
    func octets(messageID: UInt32) -> [UInt8] {
        requests.isEmpty ? [] : requests + responses + WireProposal.octets(messageID)
    }
}

extension SessionContext {
    /// The octets of our message that go into the chain.
    func intermediateOctets(
        _ payloads: [Payload], messageID: UInt32, isResponse: Bool
    ) throws(WritingError) -> [UInt8] {
        var flags: IKEHeader.Flags = isInitiator ? .initiator : []
        if isResponse { flags.insert(.response) }
        let header = IKEHeader(
            initiatorSPI: initiatorSPI, responderSPI: responderSPI, exchange: .ikeIntermediate, flags: flags,
            messageID: messageID)
        return try Message(header, payloads).intermediateOctets()
    }
}
