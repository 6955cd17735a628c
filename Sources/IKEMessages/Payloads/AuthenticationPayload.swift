public import WireFormat

/// How a peer proves its identity (RFC 7296 §3.8; IANA's registry, open-ended).
public struct AuthenticationMethod: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt8
    /// The method with this number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// RSA PKCS #1 v1.5 with SHA-1 by default.
    public static let rsaSignature = Self(rawValue: 1)
    /// A MAC keyed with a secret that both know.
    public static let sharedKey = Self(rawValue: 2)
    /// DSS with SHA-1.
    public static let dssSignature = Self(rawValue: 3)
    /// ECDSA with SHA-256 on P-256 (RFC 4754).
    public static let ecdsa256 = Self(rawValue: 9)
    /// ECDSA with SHA-384 on P-384 (RFC 4754).
    public static let ecdsa384 = Self(rawValue: 10)
    /// ECDSA with SHA-512 on P-521 (RFC 4754).
    public static let ecdsa521 = Self(rawValue: 11)
    /// Generic Secure Password Authentication (RFC 6467).
    public static let securePassword = Self(rawValue: 12)
    /// No authentication (RFC 7619).
    public static let null = Self(rawValue: 13)
    /// A signature that names its own algorithm (RFC 7427).
    public static let digitalSignature = Self(rawValue: 14)
}

extension AuthenticationMethod: CustomStringConvertible {
    /// A name for a log, else the number.
    public var description: String {
        switch self {
        case .rsaSignature: "RSA signature"
        case .sharedKey: "pre-shared key"
        case .dssSignature: "DSS signature"
        case .ecdsa256: "ECDSA P-256"
        case .ecdsa384: "ECDSA P-384"
        case .ecdsa521: "ECDSA P-521"
        case .securePassword: "secure password"
        case .null: "NULL"
        case .digitalSignature: "digital signature"
        default: "authentication method \(rawValue)"
        }
    }
}

/// A proof of identity (RFC 7296 §3.8, figure 14).
public struct AuthenticationPayload: PayloadBody {
    /// How to check it.
    public var method: AuthenticationMethod
    /// The signature or MAC.
    public var data: [UInt8]

    /// A proof.
    public init(_ method: AuthenticationMethod, _ data: [UInt8]) {
        self.method = method
        self.data = data
    }

    /// Reads the body.
    public init(parsing reader: inout WireReader) throws(WireError) {
        method = AuthenticationMethod(rawValue: try reader.uint8("authentication method"))
        try reader.skip(3, "reserved")
        data = try reader.rest("authentication data")
    }

    /// Appends the body.
    public func write(into writer: inout WireWriter) {
        writer.uint8(method.rawValue)
        writer.zeros(3)
        writer.append(data)
    }
}
