import Foundation
import GatewayModel
import NetworkTypes
import SwanctlConfig
import Trust

/// What a client has to know to reach this gateway, taken from the gateway's own configuration.
///
/// It owns no form: each system's file is written elsewhere. A password or a container with a private key is in it only
/// when the operator gave it on purpose.
struct ClientFacts {
    /// How the client proves who it is.
    enum Proof: Equatable {
        /// By a certificate.
        case certificate
        /// By a name and a password, in EAP.
        case password
        /// By a certificate, in EAP-TLS.
        case eapCertificate
        /// By a shared key.
        case sharedKey
    }

    /// What people read.
    var title: String
    /// Whose profile it is.
    var user: String
    /// Where the client connects to: a host name or an address.
    var server: String
    /// As whom the gateway proves itself.
    var serverIdentity: String
    /// The authorities that the client has to trust; none when the gateway proves itself by a shared key.
    var authorities: [Certificate]
    /// How the client proves itself.
    var proof: Proof
    /// The networks that are reached through the tunnel; empty for everything.
    var networks: [IPPrefix]
    /// The connection itself, for its proposals.
    var connection: Connection
    /// The child that the client gets.
    var child: ChildTemplate
    /// The client's PKCS #12 file.
    var container: [UInt8]?
    /// A password or a shared key that goes into the profile.
    var secret: String?

    /// Everything that is said on the command line besides the connection.
    struct Wishes {
        var title: String?
        var server: String?
        var container: [UInt8]?
        var secret: String?
    }

    /// - Throws: ``CommandFailure`` when the configuration is not one for such a client.
    init(_ user: String, _ connection: Connection, _ configuration: LoadedConfiguration, _ wishes: Wishes) throws {
        self.user = user
        self.connection = connection
        let name = connection.name
        guard let child = connection.children.first(where: { $0.shunt == nil }) else {
            throw CommandFailure("Connection '\(name)' has no child that a client could use.")
        }
        guard !connection.pools.isEmpty else {
            throw CommandFailure(
                "Connection '\(name)' lends no addresses, and a client needs one: write `pools = NAME` in it.")
        }
        self.child = child
        guard let server = wishes.server ?? Self.place(of: connection) else {
            throw CommandFailure(
                "Where do clients reach '\(name)'? Say it with --server: a host name that stands in its certificate.")
        }
        self.server = server
        title = wishes.title ?? "\(name) at \(server)"
        switch connection.remote.method {
        case .publicKey: proof = .certificate
        case .sharedKey: proof = .sharedKey
        case .eap: proof = Self.usesCertificate(connection) ? .eapCertificate : .password
        }
        serverIdentity = connection.local.identity?.description ?? server
        authorities = []
        if connection.local.method == .publicKey {
            authorities = try Self.authorities(of: connection, configuration)
            serverIdentity = try Self.identity(of: connection, server)
        }
        networks = child.localSelectors.compactMap(\.addresses).compactMap(Self.block)
        if networks.contains(where: { $0.length == 0 }) { networks = [] }
        container = wishes.container
        secret = wishes.secret
    }

    /// The gateway's host name, or the one address of it that is configured.
    private static func place(of connection: Connection) -> String? {
        for pattern in connection.localAddresses {
            if case .name(let name) = pattern { return name }
        }
        if let identity = connection.local.identity, [.fqdn, .ipv4Address, .ipv6Address].contains(identity.kind) {
            return identity.description
        }
        return connection.localAddresses.compactMap(\.single).first?.description
    }

    /// What the client has to expect as the gateway's identity; its certificate must have the name under which the client
    /// connects, or Windows and Apple refuse it.
    private static func identity(of connection: Connection, _ server: String) throws -> String {
        guard let der = connection.local.certificates.first else {
            throw CommandFailure("Connection '\(connection.name)' has no certificate: write `certs = FILE` in `local`.")
        }
        let certificate: Certificate
        do { certificate = try Certificate(der: der) } catch {
            throw CommandFailure("The certificate of '\(connection.name)' can't be read: \(error)")
        }
        let names = certificate.alternativeNames.compactMap(Self.text)
        guard names.contains(where: { $0.lowercased() == server.lowercased() }) else {
            let has = names.isEmpty ? "none at all" : names.joined(separator: ", ")
            throw CommandFailure(
                "Clients would connect to '\(server)', but the gateway's certificate has no such subjectAltName (it has "
                    + "\(has)): Windows and Apple refuse that (error 13801). Name one of them with --server, or issue the "
                    + "certificate anew: martlet pki gateway \(server).")
        }
        return connection.local.identity.map(\.description) ?? server
    }

    /// The authority above the gateway's certificate; all that are known when none is.
    private static func authorities(
        of connection: Connection, _ configuration: LoadedConfiguration
    ) throws -> [Certificate] {
        let known = configuration.credentials.authorities
        guard let der = connection.local.certificates.first, var certificate = try? Certificate(der: der) else {
            return known
        }
        // Upwards, as far as there is an issuer; a chain is short.
        for _ in 0..<8 {
            let above = (known + configuration.credentials.certificates).first { other in
                other.isAuthority && other.subject == certificate.issuer && certificate.isSigned(by: other)
            }
            guard let above else { break }
            if above.isSelfIssued { return [above] }
            certificate = above
        }
        guard !known.isEmpty else {
            throw CommandFailure(
                "The authority of '\(connection.name)' is not among x509ca: put its certificate there, so that it can go "
                    + "into the profile.")
        }
        return known
    }

    private static func usesCertificate(_ connection: Connection) -> Bool {
        let methods = connection.remote.eap.methods
        return methods.contains(.tls) && !methods.contains(.mschapv2)
    }

    /// A name by which clients connect, as people write it.
    private static func text(_ name: Certificate.AlternativeName) -> String? {
        switch name {
        case .host(let host): host
        case .address(let address): address.description
        default: nil
        }
    }

    /// The block that a range is, if it is one.
    private static func block(_ range: AddressRange) -> IPPrefix? {
        (0...range.lower.family.bitWidth).lazy.compactMap { IPPrefix(range.lower, length: $0) }.first {
            $0.range == range
        }
    }

    /// An identifier that is the same each time for the same purpose, so that a profile made anew replaces the old one.
    func identifier(_ purpose: String) -> String {
        StableIdentifier(of: ["martlet", connection.name, serverIdentity, user, purpose]).text
    }

    /// The name in reverse order, as Apple calls profiles.
    var reversedName: String {
        let parts = server.split(separator: ".").reversed().joined(separator: ".")
        return "\(parts).martlet.\(connection.name)"
    }
}
