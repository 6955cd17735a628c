import Foundation

/// A certificate, its issuer's and an OCSP answer about it by `openssl ocsp`, made on 2026-11-21 and good for ten years.
enum StatusFixture {
    /// A day after the answer was made, in seconds since 1970.
    static let moment: Int64 = 1_795_370_000
    /// Until when the answer holds.
    static let until: Int64 = 2_110_657_208

    /// The authority, which signed the answer itself.
    static let root = octets(
        """
        MIIBnTCCAUSgAwIBAgIUF/xH/gsPeDVEjUv1ddrYVFVI4CMwCgYIKoZIzj0EAwIwHTEMMAoGA1UECgwDTGFiMQ0wCwYDVQQDDARS
        b290MCAXDTI2MTEyMTIxNDAwOFoYDzIxMjYxMDI4MjE0MDA4WjAdMQwwCgYDVQQKDANMYWIxDTALBgNVBAMMBFJvb3QwWTATBgcq
        hkjOPQIBBggqhkjOPQMBBwNCAARZmxQ60hXa9rpJz0qt1//t0TnzvwpaYIZ2Z2TZXX3wGrIZ2GjbNmZm0r5fAO3kGoDjEAFxgkci
        i8TZw0vKz2aco2AwXjAdBgNVHQ4EFgQUb1Wjc/4A122IGkB4AYxRFEhMWc4wHwYDVR0jBBgwFoAUb1Wjc/4A122IGkB4AYxRFEhM
        Wc4wDwYDVR0TAQH/BAUwAwEB/zALBgNVHQ8EBAMCAQYwCgYIKoZIzj0EAwIDRwAwRAIgP729or7apsHNQFFHWwo2pTcOf2Hgt5hJ
        Icpkd1+TjDUCIA+2U18Y/yV9Nq5f4WxBl2HQUfcuRpMEGbTVuj+CvpRc
        """)
    /// Its certificate for `peer.example`, which names the responder `http://ocsp.lab/`.
    static let peer = octets(
        """
        MIIBtjCCAVygAwIBAgIBBzAKBggqhkjOPQQDAjAdMQwwCgYDVQQKDANMYWIxDTALBgNVBAMMBFJvb3QwIBcNMjYxMTIxMjE0MDA4
        WhgPMjEyNjEwMjgyMTQwMDhaMB0xDDAKBgNVBAoMA0xhYjENMAsGA1UEAwwEcGVlcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA
        BGcZXWLOIhFR4O683M2XErkkPAMdBYNKbKoA+lR/LM2/NDC52ufNDmxxDicETO0Or4op/B2YA//TyOM6oqFOeUujgYowgYcwFwYD
        VR0RBBAwDoIMcGVlci5leGFtcGxlMCwGCCsGAQUFBwEBBCAwHjAcBggrBgEFBQcwAYYQaHR0cDovL29jc3AubGFiLzAdBgNVHQ4E
        FgQUjjglz+3R7Wdt88aLkiyHrCHMDLAwHwYDVR0jBBgwFoAUb1Wjc/4A122IGkB4AYxRFEhMWc4wCgYIKoZIzj0EAwIDSAAwRQIh
        AMm4OM0PGtL/oXPes63EHra2YOWOAP4rZry2M5tFEP9RAiA6zNRtXKcD2nRywN+7Qrx4T2Ko7rXgOE8mihv47IAL5g==
        """)
    /// That the certificate is good; without a nonce.
    static let answer = octets(
        """
        MIICuQoBAKCCArIwggKuBgkrBgEFBQcwAQEEggKfMIICmzCBmKEfMB0xDDAKBgNVBAoMA0xhYjENMAsGA1UEAwwEUm9vdBgPMjAy
        NjExMjEyMTQwMDhaMGQwYjA6MAkGBSsOAwIaBQAEFHLL9d/QwTsZrVhbuH1/Hzow9BxZBBRvVaNz/gDXbYgaQHgBjFEUSExZzgIB
        B4AAGA8yMDI2MTEyMTIxNDAwOFqgERgPMjAzNjExMTgyMTQwMDhaMAoGCCqGSM49BAMCA0kAMEYCIQCK4EEUG70zoba/k9xj62uX
        37beNIBUa6Hkji2IXEM2XAIhAPPFYSpaooQvwAwKdDsFZLIrpKXJpl8SWDCQDojCTVzpoIIBpTCCAaEwggGdMIIBRKADAgECAhQX
        /Ef+Cw94NUSNS/V12thUVUjgIzAKBggqhkjOPQQDAjAdMQwwCgYDVQQKDANMYWIxDTALBgNVBAMMBFJvb3QwIBcNMjYxMTIxMjE0
        MDA4WhgPMjEyNjEwMjgyMTQwMDhaMB0xDDAKBgNVBAoMA0xhYjENMAsGA1UEAwwEUm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEH
        A0IABFmbFDrSFdr2uknPSq3X/+3ROfO/ClpghnZnZNldffAashnYaNs2ZmbSvl8A7eQagOMQAXGCRyKLxNnDS8rPZpyjYDBeMB0G
        A1UdDgQWBBRvVaNz/gDXbYgaQHgBjFEUSExZzjAfBgNVHSMEGDAWgBRvVaNz/gDXbYgaQHgBjFEUSExZzjAPBgNVHRMBAf8EBTAD
        AQH/MAsGA1UdDwQEAwIBBjAKBggqhkjOPQQDAgNHADBEAiA/vb2ivtqmwc1AUUdbCjalNw5/YeC3mEkhymR3X5OMNQIgD7ZTXxj/
        JX02rl/hbEGXYdBR9y5GkwQZtNW6P4K+lFw=
        """)

    private static func octets(_ text: String) -> [UInt8] {
        Data(base64Encoded: text, options: .ignoreUnknownCharacters).map { [UInt8]($0) } ?? []
    }
}
