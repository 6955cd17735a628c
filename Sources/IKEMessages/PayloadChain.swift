import WireFormat

/// Payloads one after another, each naming the type of the next (RFC 7296 §3.2).
///
/// It owns the walk and the critical bit. It never looks into an encrypted payload: it stops there.
enum PayloadChain {
    /// What a walk found.
    struct Walk {
        /// The payloads before the end or before the encrypted payload.
        var payloads: [Payload] = []
        /// SK or SKF when the walk stopped at one, whose generic header is the next thing to read; none at the end.
        var stop: PayloadType = .none
    }

    /// Reads from a payload of type `first` to the end of the chain, or to an encrypted payload.
    static func walk(from first: PayloadType, _ reader: inout WireReader) throws(GrammarError) -> Walk {
        var walk = Walk()
        var type = first
        while type != .none {
            if type == .encrypted || type == .encryptedFragment {
                walk.stop = type
                return walk
            }
            guard walk.payloads.count < Message.maximumPayloads else { throw .tooManyPayloads }
            // As many as the first messages of an IKE SA have.
            if walk.payloads.isEmpty { walk.payloads.reserveCapacity(12) }
            let header: GenericPayloadHeader
            do throws(WireError) {
                header = try GenericPayloadHeader(parsing: &reader)
                var body = try reader.child(header.bodyLength, "payload")
                walk.payloads.append(try parse(type, &body))
                try body.finish("payload")
            } catch {
                throw .malformed(type, error)
            }
            if header.isCritical, case .unknown? = walk.payloads.last { throw .unsupportedCriticalPayload(type) }
            type = header.next
        }
        guard reader.isAtEnd else { throw .trailing(reader.remaining) }
        return walk
    }

    private static func parse(_ type: PayloadType, _ reader: inout WireReader) throws(WireError) -> Payload {
        switch type {
        case .securityAssociation: .securityAssociation(try SecurityAssociationPayload(parsing: &reader))
        case .keyExchange: .keyExchange(try KeyExchangePayload(parsing: &reader))
        case .initiatorIdentification: .initiatorIdentification(try IdentificationPayload(parsing: &reader))
        case .responderIdentification: .responderIdentification(try IdentificationPayload(parsing: &reader))
        case .certificate: .certificate(try CertificatePayload(parsing: &reader))
        case .certificateRequest: .certificateRequest(try CertificateRequestPayload(parsing: &reader))
        case .authentication: .authentication(try AuthenticationPayload(parsing: &reader))
        case .nonce: .nonce(try NoncePayload(parsing: &reader))
        case .notify: .notify(try NotifyPayload(parsing: &reader))
        case .delete: .delete(try DeletePayload(parsing: &reader))
        case .vendorID: .vendorID(try VendorIDPayload(parsing: &reader))
        case .initiatorSelectors: .initiatorSelectors(try TrafficSelectorPayload(parsing: &reader))
        case .responderSelectors: .responderSelectors(try TrafficSelectorPayload(parsing: &reader))
        case .configuration: .configuration(try ConfigurationPayload(parsing: &reader))
        case .eap: .eap(try EAPPayload(parsing: &reader))
        default: .unknown(type, try UnknownPayload(parsing: &reader))
        }
    }

    /// Appends `payloads`; the last one names `last` as its next.
    static func write(_ payloads: [Payload], last: PayloadType = .none, into writer: inout WireWriter) {
        for index in payloads.indices {
            let next = index + 1 < payloads.count ? payloads[index + 1].type : last
            writer.uint8(next.rawValue)
            writer.uint8(0)
            writer.lengthPrefixed16(overhead: GenericPayloadHeader.byteCount) { payloads[index].write(into: &$0) }
        }
    }
}
