import Clockwork
import GatewayModel
import IPsecCrypto
import SwanctlConfig
import Testing
import Trust
import ViciMessages
import ViciServer
import WireFormat

@testable import Gateway

/// Keys and certificates that control clients load, and what connections make of them.
@Suite struct CredentialShelfTests {
    private typealias Authority = CertifiedTunnelTests.Authority
    private let now = Instant.zero + .seconds(10)

    private func key(_ key: PrivateKey, _ type: String = "any") throws -> ViciItem {
        let pem = try #require(key.pem()).exposedBytes()
        return ViciItem(
            .privateKey, name: nil,
            fields: ViciTree { tree in
                tree.set("type", type)
                tree[element: "data"] = .value(pem)
            })
    }

    private func certificate(_ data: [UInt8], flag: String? = nil, type: String = "X509") -> ViciItem {
        ViciItem(
            .certificate, name: nil,
            fields: ViciTree { tree in
                tree.set("type", type)
                if let flag { tree.set("flag", flag) }
                tree[element: "data"] = .value(data)
            })
    }

    private func connection(_ own: Certificate?, id: String? = nil, cacerts: [Certificate] = []) -> ViciItem {
        ViciItem(
            .connection, name: "site",
            fields: ViciTree { tree in
                tree.setList("remote_addrs", ["192.0.2.2"])
                tree.setSection("local") { local in
                    local.set("auth", "pubkey")
                    if let own { local[element: "certs"] = .list([own.der]) }
                    if let id { local.set("id", id) }
                }
                tree.setSection("remote") { remote in
                    remote.set("auth", "pubkey")
                    if !cacerts.isEmpty { remote[element: "cacerts"] = .list(cacerts.map(\.der)) }
                }
                tree.setSection("children") { $0.setSection("net") { _ in } }
            })
    }

    private func site(_ store: ConfigurationStore) throws -> Connection {
        try #require(store.whole.connections.first { $0.name == "site" })
    }

    @Test("Whatever the order, a connection that names nothing takes the certificates and authorities that are loaded")
    func anyOrder() throws {
        let authority = try Authority()
        let (key, own) = try authority.issue("hq")
        let items = [
            try self.key(key), certificate(own.pem), certificate(authority.certificate.der, flag: "CA"),
        ]
        for connectionFirst in [true, false] {
            let store = ConfigurationStore(LoadedConfiguration())
            let plain = connection(nil, id: "hq.example")
            if connectionFirst { #expect(store.load([plain], now: now) == nil) }
            for item in items { #expect(store.loadCredential(item, now: now).succeeded) }
            if !connectionFirst { #expect(store.load([plain], now: now) == nil) }
            let site = try site(store)
            #expect(site.local.certificates == [own.der])
            #expect(site.local.identity == Identity.fqdn("hq.example"))
            #expect(site.remote.authorities.map(\.certificate) == [authority.certificate.der])
            // The same again is no change, although more is known of it now.
            store.apply()
            #expect(store.load([plain], now: now) == nil)
            #expect(store.due == nil)
        }
    }

    @Test("What a connection brings is its own, and its authorities are trusted by it alone")
    func namedOnes() throws {
        let (named, other) = (try Authority("Named"), try Authority("Other"))
        let (_, own) = try named.issue("hq")
        let store = ConfigurationStore(LoadedConfiguration())
        #expect(store.load([connection(own, cacerts: [named.certificate])], now: now) == nil)
        #expect(store.loadCredential(certificate(other.certificate.pem, flag: "ca"), now: now).succeeded)
        #expect(try site(store).local.certificates == [own.der])
        #expect(try site(store).remote.authorities.map(\.certificate) == [named.certificate.der])
        #expect(store.whole.credentials.authorities == [other.certificate])
        #expect(store.whole.credentials.intermediates == [named.certificate])
        let listed = store.certificates
        #expect(listed.map(\.flag) == ["NONE", "CA", "CA"])
        #expect(listed.map(\.data) == [own.der, other.certificate.der, named.certificate.der])
    }

    @Test("A key's name is the SHA-1 hash of its public bits, and by it the key is unloaded")
    func keys() throws {
        let authority = try Authority()
        let (key, own) = try authority.issue("hq")
        let store = ConfigurationStore(LoadedConfiguration())
        #expect(store.loadCredential(certificate(own.pem), now: now).succeeded)
        #expect(store.certificates.first?.hasPrivateKey == false)
        let outcome = store.loadCredential(try self.key(key, "ecdsa"), now: now)
        let info = key.publicKey.info
        // A P-256 SubjectPublicKeyInfo ends in 65 octets of point.
        let name = Hex.encode(Digest.sha1([Array(info.suffix(65))]))
        #expect(outcome.id == name)
        #expect(store.names(of: .privateKey) == [name])
        #expect(store.certificates.first?.hasPrivateKey == true)
        #expect(!store.unload(.privateKey, "00", now: now))
        #expect(store.unload(.privateKey, name, now: now))
        #expect(store.names(of: .privateKey) == [])
    }

    @Test("The file's own keys are unloaded and cleared too, until it is read again")
    func fileKeys() throws {
        let (key, own) = try Authority().issue("hq")
        let file = try LoadedConfiguration(
            path: "x.conf",
            source: FilesInMemory([
                "x.conf": Array("connections { }".utf8), "private/own.pem": try #require(key.pem()).exposedBytes(),
                "x509/own.pem": own.pem,
            ]))
        let store = ConfigurationStore(file)
        let names = store.names(of: .privateKey)
        #expect(names.count == 1)
        #expect(store.unload(.privateKey, try #require(names.first), now: now))
        #expect(store.whole.credentials.keys.isEmpty)
        #expect(store.whole.credentials.certificates == [own])
        store.replaceFile(file)
        #expect(store.names(of: .privateKey) == names)
        store.clearCredentials(now: now)
        #expect(store.names(of: .privateKey).isEmpty)
        #expect(store.certificates.isEmpty)
    }

    @Test("What can't be used is refused in words, and nothing is taken in")
    func refusals() throws {
        let (key, own) = try Authority().issue("hq")
        let store = ConfigurationStore(LoadedConfiguration())
        let locked = try #require(key.pem(password: SecretBytes(Array("locked".utf8)))).exposedBytes()
        var item = try self.key(key)
        item.fields[element: "data"] = .value(locked)
        let rows: [(ViciItem, String)] = [
            (item, "it is encrypted"), (try self.key(key, "rsa"), "is no rsa key but"),
            (certificate(own.der, flag: "CA"), "is no authority"), (certificate([1, 2, 3]), "no X.509 certificate"),
            (certificate(own.der, type: "X509_CRL"), "not a certificate revocation list"),
            (certificate(own.der, type: "X509_AC"), "attribute certificates are not supported"),
            (ViciItem(.token, name: "50", fields: ViciTree()), "tokens (PKCS #11) are not supported"),
        ]
        for (item, words) in rows {
            let outcome = store.loadCredential(item, now: now)
            #expect(!outcome.succeeded)
            #expect(outcome.message?.contains(words) == true, "\(outcome.message ?? "")")
        }
        #expect(store.certificates.isEmpty && store.names(of: .privateKey).isEmpty)
        #expect(store.due == nil)
    }

    @Test("An authority's section can be loaded, listed and unloaded, and its certificate goes with it")
    func authorities() throws {
        let authority = try Authority()
        let store = ConfigurationStore(LoadedConfiguration())
        let item = ViciItem(
            .authority, name: "lab",
            fields: ViciTree { tree in
                tree[element: "cacert"] = .value(authority.certificate.pem)
                tree.setList("crl_uris", ["http://192.0.2.9/a.crl"])
            })
        #expect(store.load([item], now: now) == nil)
        #expect(store.names(of: .authority) == ["lab"])
        #expect(store.whole.authorities.first?.revocationLists == ["http://192.0.2.9/a.crl"])
        #expect(store.whole.credentials.authorities == [authority.certificate])
        #expect(store.unload(.authority, "lab", now: now))
        #expect(store.whole.credentials.authorities.isEmpty)
        #expect(!store.unload(.authority, "lab", now: now))
    }
}
