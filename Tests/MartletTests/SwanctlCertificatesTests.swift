import Foundation
import Testing
import ViciMessages

@testable import martlet

/// The certificates were made by openssl; the texts are what strongSwan's swanctl 5.9.8 printed for them.
struct SwanctlCertificatesTests {
    static let gateway = """
        MIIDGzCCAgOgAwIBAgIUYQ6l0NLmuVEMYl/mlX1eHEskNEkwDQYJKoZIhvcNAQELBQAwLDELMAkGA1UEBhMCQ0gxDDAKBgNVBAoM
        A0xhYjEPMA0GA1UEAwwGTGFiIENBMB4XDTI2MTEyMTIxMzMwNFoXDTI3MTEyMTIxMzMwNFowNDELMAkGA1UEBhMCQ0gxDDAKBgNV
        BAoMA0xhYjEXMBUGA1UEAwwOZ3cuZXhhbXBsZS5vcmcwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASs+1NjZBnzcUgRqt7fOGtO
        kfQQvG3rdIr+8qmakYRfxyXH3Cii5LiH75jkwB0Wq9ZFPQzOlN9WabaXbs5Q0L4do4H3MIH0MC4GA1UdEQQnMCWCDmd3LmV4YW1w
        bGUub3JnhwQKAAABgQ1hQGV4YW1wbGUub3JnMB0GA1UdJQQWMBQGCCsGAQUFBwMBBggrBgEFBQgCAjAtBgNVHR8EJjAkMCKgIKAe
        hhxodHRwOi8vY3JsLmV4YW1wbGUub3JnL2EuY3JsMDQGCCsGAQUFBwEBBCgwJjAkBggrBgEFBQcwAYYYaHR0cDovL29jc3AuZXhh
        bXBsZS5vcmcvMB0GA1UdDgQWBBRSknK/WhtKJnQlhs5NbW0bLmY0QTAfBgNVHSMEGDAWgBSZ6Bxb4S03zxLU2Qf2ABhx+hZ4LTAN
        BgkqhkiG9w0BAQsFAAOCAQEADZ2jIRtCEQQf0j+3q9hPM8N7Z6IjeLA0+fIsLxXhNKuqIBauXKVDwO48oGHyt95N25NRYumwiKHl
        fHAEU+kVyARoqdg9L6WzqpDNz1YB5h3rhhVlASAYbq8tuP8zl+/Z+6YIGlBKu+XkIrN7Y8mk+YdoEE6/T1E339V4hFb6O796MJKP
        D1U/w+B03D7MxHAYtUEVeELj3vs1D82eHCa7tGNL5j37egkCEbWyQBP9i8KP2qRQ/UNPG7RTvItAZ/4ZH8QLL7sJJItgv33OFwVa
        0NP+SQLOTMjfwiBl4t06TeuZSb21aMqmOHfTwQFPV9EpnwuJqSp5YE3OVOAzibss/g==
        """
    private static let authority = """
        MIIDOTCCAiGgAwIBAgIUPYAtDv7dpDkD2DXf7a6QSIpaBYcwDQYJKoZIhvcNAQELBQAwLDELMAkGA1UEBhMCQ0gxDDAKBgNVBAoM
        A0xhYjEPMA0GA1UEAwwGTGFiIENBMB4XDTI2MTEyMTIxMzMwNFoXDTM2MTExODIxMzMwNFowLDELMAkGA1UEBhMCQ0gxDDAKBgNV
        BAoMA0xhYjEPMA0GA1UEAwwGTGFiIENBMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApM2D73grM14m5pWgHfHBPOUq
        cjsst1mQstYMhxZ754KGFgtvGmfIQhZJmFtFNhbro/DxM3ARDj16huH6P1++1crPCSBHomBVj74VrE+8MBQD/mOpWElBaCXovbmJ
        jZfCHrPsR/RPkxQQHEvG5CNgPQ6e/qmHZBMCJC90oOgxkTHeQMsfOCzTEFFd12yuq0ru+SoGILeCzb8u5eUdFeqZLSK3B+cRVTK5
        6SdSy43Wb4noIYUScYKCJlaL5zX85+hgryNEgVHCPHa+ZCeF2B0qr8pnSeu9oYGhWm+62BPgwI2Ma+G+JOZ5D4zaOImHvrosuIEe
        pTodPzyMvamQ/UawZwIDAQABo1MwUTAdBgNVHQ4EFgQUmegcW+EtN88S1NkH9gAYcfoWeC0wHwYDVR0jBBgwFoAUmegcW+EtN88S
        1NkH9gAYcfoWeC0wDwYDVR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOCAQEAO2fdfleVMv1HyYw7Caeva3yBkbbhpU0itmvU
        9cB5494GdtZsyHVjXpwORP+sKut3/HT3EHBRridYWGtZ+kVCSl44HZMSqmcf3zRyI5M68vtWqH4NOrpgEfoaQEeO7/9x7g17Zv7K
        wVjGcj+sRgDK7ocmUGWpeHyFxqgyGBRgvNQq06899JKPDgEf/F8U9Qyl1A2TplmnypCU1uC0DAXeo6zENQCViSaL3alAMijIZjds
        hNm5jlIVki7lHpy0gSAu/f4+sRVt47ww8J8j3qahX6axGJuSoBZY1kBi+jp0VdjdG9pbguLqZF5wwE5PaeBDc5Sfk1TPF2P72OrS
        4ijbkQ==
        """

    static func message(_ base64: String, _ flag: String, hasPrivateKey: Bool) throws -> ViciTree {
        let der = try #require(Data(base64Encoded: base64, options: .ignoreUnknownCharacters))
        return ViciTree { tree in
            tree.set("type", "X509")
            tree.set("flag", flag)
            if hasPrivateKey { tree.set("has_privkey", true) }
            tree[element: "data"] = .value([UInt8](der))
        }
    }

    private func lines(isShort: Bool = false, isPEM: Bool = false, now: Int64 = 1795296960) throws -> [String] {
        let text = SwanctlCertificates(now: now, isUTC: true, isShort: isShort, isPEM: isPEM)
        return text.lines([
            try Self.message(Self.gateway, "NONE", hasPrivateKey: true),
            try Self.message(Self.authority, "CA", hasPrivateKey: false),
        ])
    }

    @Test func certificatesAreShownAsSwanctlShowsThem() throws {
        let expected = [
            "", "List of X.509 End Entity Certificates", "",
            #"  subject:  "C=CH, O=Lab, CN=gw.example.org""#, #"  issuer:   "C=CH, O=Lab, CN=Lab CA""#,
            "  validity:  not before Nov 21 21:33:04 2026 UTC, ok",
            "             not after  Nov 21 21:33:04 2027 UTC, ok (expires in 364 days)",
            "  serial:    61:0e:a5:d0:d2:e6:b9:51:0c:62:5f:e6:95:7d:5e:1c:4b:24:34:49",
            "  altNames:  gw.example.org, 10.0.0.1, a@example.org", "  flags:     serverAuth ikeIntermediate",
            "  CRL URIs:  http://crl.example.org/a.crl", "  OCSP URIs: http://ocsp.example.org/",
            "  authkeyId: 99:e8:1c:5b:e1:2d:37:cf:12:d4:d9:07:f6:00:18:71:fa:16:78:2d",
            "  subjkeyId: 52:92:72:bf:5a:1b:4a:26:74:25:86:ce:4d:6d:6d:1b:2e:66:34:41",
            "  pubkey:    ECDSA 256 bits, has private key",
            "  keyid:     a5:6f:e8:46:a3:12:c9:70:80:48:ee:0d:20:03:80:2f:4c:45:d6:e6",
            "  subjkey:   52:92:72:bf:5a:1b:4a:26:74:25:86:ce:4d:6d:6d:1b:2e:66:34:41", "",
            "List of X.509 CA Certificates", "", #"  subject:  "C=CH, O=Lab, CN=Lab CA""#,
            #"  issuer:   "C=CH, O=Lab, CN=Lab CA""#, "  validity:  not before Nov 21 21:33:04 2026 UTC, ok",
            "             not after  Nov 18 21:33:04 2036 UTC, ok (expires in 3649 days)",
            "  serial:    3d:80:2d:0e:fe:dd:a4:39:03:d8:35:df:ed:ae:90:48:8a:5a:05:87",
            "  flags:     CA self-signed",
            "  authkeyId: 99:e8:1c:5b:e1:2d:37:cf:12:d4:d9:07:f6:00:18:71:fa:16:78:2d",
            "  subjkeyId: 99:e8:1c:5b:e1:2d:37:cf:12:d4:d9:07:f6:00:18:71:fa:16:78:2d",
            "  pubkey:    RSA 2048 bits",
            "  keyid:     73:f6:4b:7a:3d:34:10:f6:fa:60:85:07:59:11:ec:56:3d:74:f2:d8",
            "  subjkey:   99:e8:1c:5b:e1:2d:37:cf:12:d4:d9:07:f6:00:18:71:fa:16:78:2d",
        ]
        let shown = try lines()
        #expect(shown.count == expected.count)
        for (line, other) in zip(shown, expected) { #expect(line == other) }
    }

    @Test func shortLeavesOutFlagsAndLocations() throws {
        let short = try lines(isShort: true)
        #expect(!short.contains { $0.contains("flags:") || $0.contains("URIs:") })
        #expect(short.contains("  pubkey:    RSA 2048 bits"))
    }

    @Test func anEndThatHasPassedIsSaid() throws {
        let late = try lines(now: 1795296960 + 366 * 86_400)
        #expect(late.contains { $0.contains("not after  Nov 21 21:33:04 2027 UTC, expired (24 hours ago)") })
    }

    @Test func pemIsWhatWasSent() throws {
        let pem = try lines(isPEM: true)
        #expect(pem.first == "-----BEGIN CERTIFICATE-----" && pem.count == 6)
        let body = try #require(pem.dropFirst().first)
        #expect(Data(base64Encoded: body, options: .ignoreUnknownCharacters)?.count == 799)
    }

    @Test func whatIsNoCertificateIsCounted() {
        let text = SwanctlCertificates(now: 0, isUTC: true, isShort: false, isPEM: false)
        let rubbish = ViciTree { tree in
            tree.set("type", "X509")
            tree[element: "data"] = .value([1, 2, 3])
        }
        #expect(text.lines([rubbish]).last == "  3 octets that this program does not read")
    }
}
