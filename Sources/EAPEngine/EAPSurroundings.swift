public import Clockwork
public import GatewayModel
public import WireFormat

/// A password as a store of secrets has it.
public enum EAPPassword: Sendable {
    /// As people write it, in UTF-8.
    case text(SecretBytes)
    /// Its NT hash (RFC 2759 §8.3), 16 octets: good for MSCHAPv2, and as secret as the password.
    case ntHash(SecretBytes)

    /// Its NT hash; nil for what is no text in UTF-8.
    var ntHash: SecretBytes? {
        switch self {
        case .text(let text): MSCHAPv2.ntHash(ofPassword: text)
        case .ntHash(let hash): hash.count == 16 ? hash : nil
        }
    }
}

/// Who knows the passwords. A method asks for one when it needs it, and keeps it no longer than that step.
public protocol EAPSecrets {
    /// The password of somebody by the name that EAP gives them; nil where there is none.
    func password(of name: [UInt8]) -> EAPPassword?
}

/// What one step of a conversation may use besides the message.
public struct EAPSurroundings {
    /// Chance.
    public var entropy: any Entropy
    /// Passwords.
    public var secrets: any EAPSecrets
    /// Keys and certificates; nil where there are none, and no method that needs them.
    public var certificates: (any EAPCertificates)?

    /// Surroundings.
    public init(entropy: any Entropy, secrets: any EAPSecrets, certificates: (any EAPCertificates)? = nil) {
        self.entropy = entropy
        self.secrets = secrets
        self.certificates = certificates
    }
}

extension Identity {
    /// The name by which EAP knows somebody: the text as people write it.
    public var eapName: [UInt8] {
        switch kind {
        case .fqdn, .rfc822Address, .keyID: data
        default: Array(description.utf8)
        }
    }

    /// Who has this name in EAP.
    public init(eapName name: [UInt8]) {
        let isText = !name.isEmpty && name.allSatisfy { (0x21...0x7e).contains($0) }
        if !isText {
            self = .keyID(name)
        } else {
            self.init(name.contains(UInt8(ascii: "@")) ? .rfc822Address : .fqdn, name)
        }
    }
}
