import GatewayModel
import IPsecCrypto
import SwanctlConfig
import Testing
import Trust
import WireFormat

/// Keys, certificates and the directories that they lie in.
struct CertificateTests {
    /// An authority and a gateway's certificate, made once.
    struct Material {
        let rootKey: PrivateKey
        let root: Certificate
        let key: PrivateKey
        let certificate: Certificate

        init() throws {
            rootKey = try PrivateKey(generating: .p256)
            key = try PrivateKey(generating: .p256)
            let rootName = try #require(DistinguishedName(text: "C=CH, O=Lab, CN=Root"))
            let name = try #require(DistinguishedName(text: "C=CH, O=Lab, CN=moon"))
            root = try #require(
                CertificateIssuer(nil, rootKey).issue(
                    rootName, rootKey.publicKey, serial: [1], validity: 0...4_000_000_000,
                    extensions: [.init("basicConstraints", "critical,CA:TRUE")]))
            certificate = try #require(
                CertificateIssuer(root, rootKey).issue(
                    name, key.publicKey, serial: [2], validity: 0...4_000_000_000,
                    extensions: [.init("subjectAltName", "DNS:moon.example.net")]))
        }

        var files: [String: [UInt8]] {
            [
                "/etc/x509ca/root.pem": root.pem, "/etc/x509/moon.pem": certificate.pem,
                "/etc/private/moon.pem": key.pem()?.exposedBytes() ?? [],
            ]
        }
    }

    static func load(
        _ files: [String: [UInt8]], local: String = "auth = pubkey\ncerts = moon.pem", remote: String = "auth = pubkey",
        secrets: String = ""
    ) throws(ConfigurationErrors) -> LoadedConfiguration {
        let text = """
            connections {
                gw {
                    remote_addrs = 192.0.2.2
                    local { \(local)
                    }
                    remote { id = sun.example.net
                        \(remote)
                    }
                    children { net {
                    } }
                }
            }
            secrets {
                \(secrets)
            }
            """
        var all = files
        all["/etc/swanctl.conf"] = Array(text.utf8)
        return try LoadedConfiguration(path: "/etc/swanctl.conf", source: FilesInMemory(all))
    }

    @Test("What lies in the directories is loaded, and a round without names gets what fits")
    func directories() throws {
        let material = try Material()
        let subject = Identity(try #require(material.certificate.subject))
        for local in ["auth = pubkey\ncerts = moon.pem", "auth = pubkey", "id = moon.example.net"] {
            let loaded = try Self.load(material.files, local: local)
            let connection = try #require(loaded.connections.first)
            #expect(connection.local.method == .publicKey && connection.remote.method == .publicKey)
            #expect(connection.local.certificates == [material.certificate.der])
            #expect(connection.remote.authorities.map(\.certificate) == [material.root.der])
            #expect(connection.remote.authorities.first?.keyIdentifier == material.root.key.identifier)
            let expected =
                local.hasPrefix("id")
                ? Identity.fqdn("moon.example.net") : subject
            #expect(connection.local.identity == expected)
            #expect(loaded.warnings.isEmpty, "\(loaded.warnings)")
            #expect(loaded.credentials.keys.count == 1)
        }
    }

    @Test("What a certificate does not confirm, and what is missing, is said")
    func warnings() throws {
        let material = try Material()
        var files = material.files
        let other = try Self.load(files, local: "id = mars.example.net\ncerts = moon.pem")
        let subject = try #require(material.certificate.subject)
        #expect(other.connections.first?.local.identity == Identity(subject))
        #expect(
            other.warnings.map(\.message).contains {
                $0.contains("no certificate of ours belongs to 'mars.example.net'")
            })
        files["/etc/private/moon.pem"] = nil
        let keyless = try Self.load(files)
        #expect(keyless.warnings.map(\.message).contains { $0.contains("no private key for 'C=CH, O=Lab, CN=moon'") })
        files["/etc/x509ca/root.pem"] = Array("rubbish".utf8)
        let trustless = try Self.load(files)
        #expect(trustless.warnings.map(\.message).contains { $0.contains("it holds no X.509 certificate") })
        #expect(trustless.warnings.map(\.message).contains { $0.contains("no authority") })
        do {
            _ = try Self.load(files, local: "auth = pubkey\ncerts = sun.pem")
            Issue.record("a missing file was accepted")
        } catch {
            #expect(error.errors.first?.message.contains("'/etc/x509/sun.pem' can't be read") == true)
        }
    }

    @Test("An authority may have a section of its own, wherever its file lies")
    func authorities() throws {
        let material = try Material()
        var files = material.files
        files["/etc/x509ca/root.pem"] = nil
        files["/elsewhere/root.pem"] = material.root.pem
        let named = try Self.load(files, secrets: "}\nauthorities { lab { cacert = /elsewhere/root.pem\n}")
        #expect(named.connections.first?.remote.authorities.map(\.certificate) == [material.root.der])
        do {
            _ = try Self.load(
                files,
                secrets:
                    "}\nauthorities { lab { cacert = root.pem\n crl_uris = http://a/b, ldap://c/d\n cert_uri_base = http://e\n}"
            )
            Issue.record("a missing file was accepted")
        } catch {
            let text = "\(error)"
            #expect(text.contains("authorities.lab.cacert: '/etc/x509ca/root.pem' can't be read"))
            #expect(text.contains("crl_uris: 'ldap://c/d' is no place to ask"))
            #expect(!text.contains("http://a/b"))
            #expect(text.contains("cert_uri_base' is not supported: certificates by hash and URL"))
        }
    }

    @Test("Encrypted keys open with their password only, which no message shows")
    func passwords() throws {
        let material = try Material()
        var files = material.files
        let password = SecretBytes(Array("open sesame".utf8))
        files["/etc/private/moon.pem"] = try #require(material.key.pem(password: password)).exposedBytes()
        #expect(try Self.load(files).credentials.keys.isEmpty)
        let right = "private-moon { file = moon.pem\nsecret = \"open sesame\"\n}"
        #expect(try Self.load(files, secrets: right).credentials.keys.count == 1)
        let wrong = try Self.load(files, secrets: "private { file = moon.pem\nsecret = open barley\n}")
        #expect(wrong.credentials.keys.isEmpty)
        #expect(wrong.warnings.map(\.message).contains { $0.contains("the password does not open it") })
        #expect(!wrong.warnings.map(\.description).joined().contains("barley"))
        // A password is for its own file only.
        let elsewhere = "private { file = mars.pem\nsecret = \"open sesame\"\n}"
        #expect(try Self.load(files, secrets: elsewhere).credentials.keys.isEmpty)
    }

    @Test("A file that secrets name and that is not there is named, with its place")
    func missingFiles() throws {
        let material = try Material()
        for (kind, name) in [("private-mars", "mars.pem"), ("rsa", "moon.pem"), ("pkcs12", "moon.p12")] {
            let loaded = try Self.load(material.files, secrets: "\(kind) {\nfile = \(name)\nsecret = open sesame\n}")
            let folder = kind.split(separator: "-")[0]
            #expect(
                loaded.warnings.map(\.description) == [
                    "/etc/swanctl.conf:16:1: warning: secrets.\(kind).file: there is no file '\(name)' in '\(folder)'; "
                        + "put the file into '/etc/\(folder)', or correct its name"
                ])
        }
        // A password need not be said, and the file may be in any of the directories.
        #expect(try Self.load(material.files, secrets: "private {\nfile = mars.pem\n}").warnings.count == 1)
        var files = material.files
        files["/etc/ecdsa/more.pem"] = files["/etc/private/moon.pem"]
        #expect(try Self.load(files, secrets: "private {\nfile = more.pem\nsecret = x\n}").warnings.isEmpty)
    }

    @Test("Raw public keys, pinned certificates, policies and revocation belong to the peer's round")
    func remoteRound() throws {
        let material = try Material()
        var files = material.files
        files["/etc/pubkey/sun.der"] = material.rootKey.publicKey.info
        files["/etc/x509/sun.pem"] = material.root.pem
        func remote(_ lines: String) throws -> Connection.PeerAuthentication {
            let loaded = try Self.load(files, remote: lines)
            return try #require(loaded.connections.first).remote
        }
        let keys = try remote("pubkeys = sun.der")
        #expect(keys.rawKeys == [material.rootKey.publicKey.info] && keys.authorities.isEmpty)
        let pinned = try remote("certs = sun.pem")
        #expect(pinned.certificates == [material.root.der] && pinned.authorities.isEmpty)
        let strict = try remote(
            "cert_policy = 1.2.3, 1.2.4\nrevocation = strict\ncacerts = root.pem\nca_id = \"CN=Root\"")
        #expect(strict.policies == ["1.2.3", "1.2.4"] && strict.revocation == .strict)
        #expect(strict.authorities.count == 1 && strict.authority != nil)
    }

    @Test(
        "auth says how strong keys and signatures must be",
        arguments: [
            ("pubkey", "pubkey"), ("rsa-3072-sha256-sha384", "rsa-3072-sha256-sha384"), ("ecdsa-384", "ecdsa-384"),
            ("rsa-2048-ecdsa-256-sha256", "rsa-2048-ecdsa-256-sha256"), ("ed25519", "ed25519"),
            ("pubkey-sha512", "pubkey-sha512"), ("RSA/PSS-sha512", "rsa/pss-sha512"),
            ("rsa-3072-ike:rsa/pss-sha256", "rsa-3072-ike:rsa/pss-sha256"),
        ])
    func strengths(_ written: String, _ meant: String) throws {
        let loaded = try Self.load(try Material().files, remote: "auth = \(written)")
        #expect(loaded.connections.first?.remote.rules.description == meant)
    }

    @Test(arguments: ["rsa-", "rsa-sha3", "sha256", "pubkey-2048", "rsa-0", "rsa-2048-3072", "dsa", "eap-sim", "xauth"])
    func wrongStrengths(_ written: String) {
        do {
            _ = try Self.load(try Material().files, remote: "auth = \(written)")
            Issue.record("\(written) was accepted")
        } catch {
            #expect("\(error)".contains("auth"))
        }
    }

    @Test("Shared keys by identities with wildcards: who is named comes first")
    func wildcards() throws {
        let secrets = try SwanctlConfigTests.load(
            """
            secrets {
                ike-one { id = a.branch.example
                    secret = one-peers-secret-key
                }
                ike-all { id = *.branch.example
                    secret = 0x00112233445566778899aabbccddeeff
                }
                ike-dn { id = "C=CH, O=Lab, CN=*"
                    secret = 0sABEiM0RVZneImaq7zN3u/w==
                }
            }
            """
        ).secrets
        let us = Identity.fqdn("hq.example")
        #expect(secrets.sharedKey(local: us, remote: .fqdn("a.branch.example"))?.name == "ike-one")
        #expect(secrets.sharedKey(local: us, remote: .fqdn("b.Branch.example"))?.name == "ike-all")
        #expect(secrets.sharedKey(local: us, remote: .fqdn("branch.example")) == nil)
        let name = try #require(DistinguishedName(text: "C=CH, O=Lab, CN=carol"))
        #expect(secrets.sharedKey(local: us, remote: Identity(name))?.name == "ike-dn")
        #expect(secrets[1].value == secrets[2].value && secrets[1].value.count == 16)
    }
}
