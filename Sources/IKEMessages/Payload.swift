public import WireFormat

/// One payload of a message: its kind and its body.
public enum Payload: Hashable, Sendable {
    /// SA.
    case securityAssociation(SecurityAssociationPayload)
    /// KE.
    case keyExchange(KeyExchangePayload)
    /// IDi.
    case initiatorIdentification(IdentificationPayload)
    /// IDr.
    case responderIdentification(IdentificationPayload)
    /// CERT.
    case certificate(CertificatePayload)
    /// CERTREQ.
    case certificateRequest(CertificateRequestPayload)
    /// AUTH.
    case authentication(AuthenticationPayload)
    /// Ni or Nr.
    case nonce(NoncePayload)
    /// N.
    case notify(NotifyPayload)
    /// D.
    case delete(DeletePayload)
    /// V.
    case vendorID(VendorIDPayload)
    /// TSi.
    case initiatorSelectors(TrafficSelectorPayload)
    /// TSr.
    case responderSelectors(TrafficSelectorPayload)
    /// CP.
    case configuration(ConfigurationPayload)
    /// EAP.
    case eap(EAPPayload)
    /// A payload that is not understood and is not critical.
    case unknown(PayloadType, UnknownPayload)

    /// Its type.
    public var type: PayloadType {
        switch self {
        case .securityAssociation: .securityAssociation
        case .keyExchange: .keyExchange
        case .initiatorIdentification: .initiatorIdentification
        case .responderIdentification: .responderIdentification
        case .certificate: .certificate
        case .certificateRequest: .certificateRequest
        case .authentication: .authentication
        case .nonce: .nonce
        case .notify: .notify
        case .delete: .delete
        case .vendorID: .vendorID
        case .initiatorSelectors: .initiatorSelectors
        case .responderSelectors: .responderSelectors
        case .configuration: .configuration
        case .eap: .eap
        case .unknown(let type, _): type
        }
    }

    /// Appends its body.
    public func write(into writer: inout WireWriter) {
        switch self {
        case .securityAssociation(let body): body.write(into: &writer)
        case .keyExchange(let body): body.write(into: &writer)
        case .initiatorIdentification(let body): body.write(into: &writer)
        case .responderIdentification(let body): body.write(into: &writer)
        case .certificate(let body): body.write(into: &writer)
        case .certificateRequest(let body): body.write(into: &writer)
        case .authentication(let body): body.write(into: &writer)
        case .nonce(let body): body.write(into: &writer)
        case .notify(let body): body.write(into: &writer)
        case .delete(let body): body.write(into: &writer)
        case .vendorID(let body): body.write(into: &writer)
        case .initiatorSelectors(let body): body.write(into: &writer)
        case .responderSelectors(let body): body.write(into: &writer)
        case .configuration(let body): body.write(into: &writer)
        case .eap(let body): body.write(into: &writer)
        case .unknown(_, let body): body.write(into: &writer)
        }
    }
}
