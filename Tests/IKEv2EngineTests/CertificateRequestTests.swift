import GatewayModel
import IKECore
import IKEMessages
import Testing

@testable import IKEv2Engine

/// What we ask for in CERTREQ, and what we take from a peer's (RFC 7296 §3.7, RFC 4806, RFC 7670).
@Suite struct CertificateRequestTests {
    private static func connection(
        _ authorities: Int = 1, responders: Int = 0, status: StatusExchange = .request
    ) -> Connection {
        var connection = Pair.connection()
        connection.remote.method = .publicKey
        connection.remote.authorities = (0..<authorities).map {
            CertificateAuthority(
                certificate: [UInt8($0)], keyIdentifier: [UInt8](repeating: UInt8($0), count: 20))
        }
        connection.remote.responders = (0..<responders).map { [UInt8](repeating: UInt8(100 + $0), count: 20) }
        connection.statusExchange = status
        return connection
    }

    private static func asked(_ connections: [Connection]) -> [CertificateEncoding: Int] {
        let requests = SignatureAgreement.requests(ConfiguredConnection.list(connections))
        return Dictionary(uniqueKeysWithValues: requests.map { ($0.encoding, $0.data.count) })
    }

    @Test("OCSP answers are asked for in a payload of their own, where the connection says so (RFC 4806 §4.1)")
    func status() {
        for (status, isAsked) in [(StatusExchange.never, false), (.reply, false), (.request, true), (.both, true)] {
            #expect((Self.asked([Self.connection(status: status)])[.ocsp] != nil) == isAsked)
        }
        #expect(Self.asked([Self.connection()]) == [.x509Signature: 20, .ocsp: 0])
        // Trusted responders are named, eight at most.
        #expect(Self.asked([Self.connection(responders: 3)])[.ocsp] == 60)
        #expect(Self.asked([Self.connection(responders: 9)])[.ocsp] == 160)
        // Where too many authorities are trusted to name them, the question remains.
        #expect(Self.asked([Self.connection(60)]) == [.x509Signature: 0, .ocsp: 0])
        var silent = Self.connection()
        silent.requestsCertificate = false
        #expect(Self.asked([silent]) == [.ocsp: 0])
        // Who proves itself by a key alone has no certificate that could be revoked.
        var shared = Self.connection()
        shared.remote.method = .sharedKey
        #expect(Self.asked([shared]).isEmpty)
    }

    @Test("We bring OCSP answers only with certificates, where the peer has asked and the connection lets us")
    func wish() {
        var own = Connection.Authentication(method: .publicKey, identity: .fqdn("left.example"))
        own.certificates = [[1]]
        for (status, isBrought) in [(StatusExchange.never, false), (.reply, true), (.request, false), (.both, true)] {
            for asks in [true, false] {
                for sends in [Connection.CertificateSending.always, .never, .ifAsked] {
                    var connection = Self.connection(status: status)
                    connection.sendsCertificate = sends
                    var agreement = SignatureAgreement()
                    agreement.learn(asks ? [CertificateRequestPayload(responders: [])] : [])
                    #expect(agreement.wantsStatus == asks && !agreement.isAsked)
                    let wish = connection.wish(own, agreement)
                    #expect(wish?.bringsStatus == (isBrought && asks && sends == .always))
                }
            }
        }
    }
}
