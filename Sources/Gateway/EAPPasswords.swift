import EAPEngine
import GatewayModel
import SwanctlConfig
import WireFormat

/// The passwords that EAP may ask for, by name. It answers methods, and nobody else.
struct EAPPasswords: EAPSecrets, Sendable {
    /// By name; the first of several counts. Never gone through.
    private let byName: [[UInt8]: EAPPassword]

    /// Those among the secrets of a configuration.
    init(_ secrets: [Secret]) {
        var byName: [[UInt8]: EAPPassword] = [:]
        for secret in secrets {
            let password: EAPPassword
            switch secret.kind {
            case .eap: password = .text(secret.value)
            case .ntlm: password = .ntHash(secret.value)
            case .ike, .ppk: continue
            }
            for identity in secret.identities where byName[identity.eapName] == nil {
                byName[identity.eapName] = password
            }
        }
        self.byName = byName
    }

    /// Windows puts a domain before the name: without it, when nobody is called so with it.
    func password(of name: [UInt8]) -> EAPPassword? {
        byName[name] ?? byName[MSCHAPv2.userName(name)]
    }
}
