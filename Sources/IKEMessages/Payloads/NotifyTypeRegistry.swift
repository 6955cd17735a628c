/// Every notify type that has a name, with the number of its registry.
extension NotifyType {
    /// UNSUPPORTED_CRITICAL_PAYLOAD: a critical payload is not understood; its type is the data.
    public static let unsupportedCriticalPayload = Self(rawValue: 1)
    /// INVALID_IKE_SPI: no IKE SA has the SPIs of the header.
    public static let invalidIKESPI = Self(rawValue: 4)
    /// INVALID_MAJOR_VERSION: the major version is not spoken; the highest that is, is the header's.
    public static let invalidMajorVersion = Self(rawValue: 5)
    /// INVALID_SYNTAX: the message breaks a rule.
    public static let invalidSyntax = Self(rawValue: 7)
    /// INVALID_MESSAGE_ID: the message ID is outside the window.
    public static let invalidMessageID = Self(rawValue: 9)
    /// INVALID_SPI: an ESP or AH packet had an SPI that no SA has.
    public static let invalidSPI = Self(rawValue: 11)
    /// NO_PROPOSAL_CHOSEN: no proposal was acceptable.
    public static let noProposalChosen = Self(rawValue: 14)
    /// INVALID_KE_PAYLOAD: another key exchange method is wanted; the data is its number.
    public static let invalidKEPayload = Self(rawValue: 17)
    /// AUTHENTICATION_FAILED: the peer could not be authenticated.
    public static let authenticationFailed = Self(rawValue: 24)
    /// SINGLE_PAIR_REQUIRED: only one pair of addresses is acceptable.
    public static let singlePairRequired = Self(rawValue: 34)
    /// NO_ADDITIONAL_SAS: no more Child SAs are wanted.
    public static let noAdditionalSAs = Self(rawValue: 35)
    /// INTERNAL_ADDRESS_FAILURE: no internal address can be assigned.
    public static let internalAddressFailure = Self(rawValue: 36)
    /// FAILED_CP_REQUIRED: a configuration request was expected.
    public static let failedCPRequired = Self(rawValue: 37)
    /// TS_UNACCEPTABLE: no traffic selector was acceptable.
    public static let tsUnacceptable = Self(rawValue: 38)
    /// INVALID_SELECTORS: a packet did not match its SA's selectors.
    public static let invalidSelectors = Self(rawValue: 39)
    /// UNACCEPTABLE_ADDRESSES: the new addresses are not allowed (RFC 4555).
    public static let unacceptableAddresses = Self(rawValue: 40)
    /// UNEXPECTED_NAT_DETECTED: a NAT was found where none is allowed (RFC 4555).
    public static let unexpectedNATDetected = Self(rawValue: 41)
    /// USE_ASSIGNED_HoA: another home address must be used (RFC 5026).
    public static let useAssignedHomeAddress = Self(rawValue: 42)
    /// TEMPORARY_FAILURE: not now; a rekeying or closing is under way.
    public static let temporaryFailure = Self(rawValue: 43)
    /// CHILD_SA_NOT_FOUND: the Child SA to be rekeyed does not exist.
    public static let childSANotFound = Self(rawValue: 44)
    /// INVALID_GROUP_ID: the group is not known.
    public static let invalidGroupID = Self(rawValue: 45)
    /// AUTHORIZATION_FAILED: the peer is not allowed in the group.
    public static let authorizationFailed = Self(rawValue: 46)
    /// STATE_NOT_FOUND: the key exchange to be continued is not known (RFC 9370).
    public static let stateNotFound = Self(rawValue: 47)
    /// TS_MAX_QUEUE: no more SAs for these selectors (RFC 9611).
    public static let tsMaxQueue = Self(rawValue: 48)
    /// REGISTRATION_FAILED: the registration with the group failed.
    public static let registrationFailed = Self(rawValue: 49)
    /// INITIAL_CONTACT: no other IKE SA between these identities exists.
    public static let initialContact = Self(rawValue: 16384)
    /// SET_WINDOW_SIZE: how many requests may be under way; the data has 4 octets.
    public static let setWindowSize = Self(rawValue: 16385)
    /// ADDITIONAL_TS_POSSIBLE: more selectors would have been acceptable.
    public static let additionalTSPossible = Self(rawValue: 16386)
    /// IPCOMP_SUPPORTED: a CPI and a compression algorithm.
    public static let ipcompSupported = Self(rawValue: 16387)
    /// NAT_DETECTION_SOURCE_IP: a hash of the sender's address and port.
    public static let natDetectionSourceIP = Self(rawValue: 16388)
    /// NAT_DETECTION_DESTINATION_IP: a hash of the receiver's address and port.
    public static let natDetectionDestinationIP = Self(rawValue: 16389)
    /// COOKIE: proof of a return path.
    public static let cookie = Self(rawValue: 16390)
    /// USE_TRANSPORT_MODE: transport mode is wanted.
    public static let useTransportMode = Self(rawValue: 16391)
    /// HTTP_CERT_LOOKUP_SUPPORTED: certificates can be fetched by URL.
    public static let httpCertLookupSupported = Self(rawValue: 16392)
    /// REKEY_SA: the SA that the new one replaces.
    public static let rekeySA = Self(rawValue: 16393)
    /// ESP_TFC_PADDING_NOT_SUPPORTED: packets with TFC padding are not accepted.
    public static let espTFCPaddingNotSupported = Self(rawValue: 16394)
    /// NON_FIRST_FRAGMENTS_ALSO: fragments may use the same SA.
    public static let nonFirstFragmentsAlso = Self(rawValue: 16395)
    /// MOBIKE_SUPPORTED: MOBIKE is spoken (RFC 4555).
    public static let mobikeSupported = Self(rawValue: 16396)
    /// ADDITIONAL_IP4_ADDRESS: another IPv4 address of the sender (RFC 4555).
    public static let additionalIP4Address = Self(rawValue: 16397)
    /// ADDITIONAL_IP6_ADDRESS: another IPv6 address of the sender (RFC 4555).
    public static let additionalIP6Address = Self(rawValue: 16398)
    /// NO_ADDITIONAL_ADDRESSES: the sender has no other addresses (RFC 4555).
    public static let noAdditionalAddresses = Self(rawValue: 16399)
    /// UPDATE_SA_ADDRESSES: the SAs move to this message's addresses (RFC 4555).
    public static let updateSAAddresses = Self(rawValue: 16400)
    /// COOKIE2: octets to be returned, as proof of a return path (RFC 4555).
    public static let cookie2 = Self(rawValue: 16401)
    /// NO_NATS_ALLOWED: the addresses and ports that must not be translated (RFC 4555).
    public static let noNATsAllowed = Self(rawValue: 16402)
    /// AUTH_LIFETIME: seconds until reauthentication is needed (RFC 4478).
    public static let authLifetime = Self(rawValue: 16403)
    /// MULTIPLE_AUTH_SUPPORTED: several authentications are possible (RFC 4739).
    public static let multipleAuthSupported = Self(rawValue: 16404)
    /// ANOTHER_AUTH_FOLLOWS: the sender will authenticate once more (RFC 4739).
    public static let anotherAuthFollows = Self(rawValue: 16405)
    /// REDIRECT_SUPPORTED: the sender can be redirected (RFC 5685).
    public static let redirectSupported = Self(rawValue: 16406)
    /// REDIRECT: another gateway must be used (RFC 5685).
    public static let redirect = Self(rawValue: 16407)
    /// REDIRECTED_FROM: the gateway that redirected the sender (RFC 5685).
    public static let redirectedFrom = Self(rawValue: 16408)
    /// TICKET_LT_OPAQUE: a ticket and its lifetime (RFC 5723).
    public static let ticketLifetimeOpaque = Self(rawValue: 16409)
    /// TICKET_REQUEST: a ticket is wanted (RFC 5723).
    public static let ticketRequest = Self(rawValue: 16410)
    /// TICKET_ACK: a ticket will follow (RFC 5723).
    public static let ticketAck = Self(rawValue: 16411)
    /// TICKET_NACK: no ticket is given, or the ticket is refused (RFC 5723).
    public static let ticketNack = Self(rawValue: 16412)
    /// TICKET_OPAQUE: a ticket (RFC 5723).
    public static let ticketOpaque = Self(rawValue: 16413)
    /// LINK_ID: a virtual link (RFC 5739).
    public static let linkID = Self(rawValue: 16414)
    /// USE_WESP_MODE: wrapped ESP is wanted (RFC 5840).
    public static let useWESPMode = Self(rawValue: 16415)
    /// ROHC_SUPPORTED: header compression is possible (RFC 5857).
    public static let rohcSupported = Self(rawValue: 16416)
    /// EAP_ONLY_AUTHENTICATION: EAP may authenticate the responder too (RFC 5998).
    public static let eapOnlyAuthentication = Self(rawValue: 16417)
    /// CHILDLESS_IKEV2_SUPPORTED: IKE_AUTH may go without a Child SA (RFC 6023).
    public static let childlessIKEv2Supported = Self(rawValue: 16418)
    /// QUICK_CRASH_DETECTION: a token that proves a crash (RFC 6290).
    public static let quickCrashDetection = Self(rawValue: 16419)
    /// IKEV2_MESSAGE_ID_SYNC_SUPPORTED: message IDs can be synchronised after a fail-over (RFC 6311).
    public static let messageIDSyncSupported = Self(rawValue: 16420)
    /// IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED: replay counters can be synchronised after a fail-over (RFC 6311).
    public static let replayCounterSyncSupported = Self(rawValue: 16421)
    /// IKEV2_MESSAGE_ID_SYNC: the message IDs after a fail-over (RFC 6311).
    public static let messageIDSync = Self(rawValue: 16422)
    /// IPSEC_REPLAY_COUNTER_SYNC: the replay counters after a fail-over (RFC 6311).
    public static let replayCounterSync = Self(rawValue: 16423)
    /// SECURE_PASSWORD_METHODS: secure password methods (RFC 6467).
    public static let securePasswordMethods = Self(rawValue: 16424)
    /// PSK_PERSIST: a password becomes a key (RFC 6631).
    public static let pskPersist = Self(rawValue: 16425)
    /// PSK_CONFIRM: a password became a key (RFC 6631).
    public static let pskConfirm = Self(rawValue: 16426)
    /// ERX_SUPPORTED: EAP reauthentication is possible (RFC 6867).
    public static let erxSupported = Self(rawValue: 16427)
    /// IFOM_CAPABILITY: flow mobility of 3GPP.
    public static let ifomCapability = Self(rawValue: 16428)
    /// SENDER_REQUEST_ID: a sender of a group wants an identifier.
    public static let senderRequestID = Self(rawValue: 16429)
    /// IKEV2_FRAGMENTATION_SUPPORTED: messages may be fragmented (RFC 7383).
    public static let fragmentationSupported = Self(rawValue: 16430)
    /// SIGNATURE_HASH_ALGORITHMS: hash algorithms for signatures (RFC 7427).
    public static let signatureHashAlgorithms = Self(rawValue: 16431)
    /// CLONE_IKE_SA_SUPPORTED: the IKE SA can be cloned (RFC 7791).
    public static let cloneIKESASupported = Self(rawValue: 16432)
    /// CLONE_IKE_SA: the new IKE SA is a clone (RFC 7791).
    public static let cloneIKESA = Self(rawValue: 16433)
    /// PUZZLE: a puzzle must be solved (RFC 8019).
    public static let puzzle = Self(rawValue: 16434)
    /// USE_PPK: a post-quantum pre-shared key is wanted (RFC 8784).
    public static let usePPK = Self(rawValue: 16435)
    /// PPK_IDENTITY: which post-quantum pre-shared key (RFC 8784).
    public static let ppkIdentity = Self(rawValue: 16436)
    /// NO_PPK_AUTH: the AUTH data without the PPK (RFC 8784).
    public static let noPPKAuth = Self(rawValue: 16437)
    /// INTERMEDIATE_EXCHANGE_SUPPORTED: IKE_INTERMEDIATE is spoken (RFC 9242).
    public static let intermediateExchangeSupported = Self(rawValue: 16438)
    /// IP4_ALLOWED: IPv4 addresses are available (RFC 8983).
    public static let ip4Allowed = Self(rawValue: 16439)
    /// IP6_ALLOWED: IPv6 addresses are available (RFC 8983).
    public static let ip6Allowed = Self(rawValue: 16440)
    /// ADDITIONAL_KEY_EXCHANGE: a further key exchange follows (RFC 9370).
    public static let additionalKeyExchange = Self(rawValue: 16441)
    /// USE_AGGFRAG: aggregation and fragmentation mode is wanted (RFC 9347).
    public static let useAggfrag = Self(rawValue: 16442)
    /// SUPPORTED_AUTH_METHODS: authentication methods that the sender accepts (RFC 9593).
    public static let supportedAuthMethods = Self(rawValue: 16443)
    /// SA_RESOURCE_INFO: which resource an SA is for (RFC 9611).
    public static let saResourceInfo = Self(rawValue: 16444)
    /// USE_PPK_INT: a PPK in IKE_INTERMEDIATE is wanted (RFC 9867).
    public static let usePPKIntermediate = Self(rawValue: 16445)
    /// PPK_IDENTITY_KEY: PPKs with a proof of knowing them (RFC 9867).
    public static let ppkIdentityKey = Self(rawValue: 16446)
}
