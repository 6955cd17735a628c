import IPsecCrypto
import Testing

@testable import IKEMessages

/// SUPPORTED_AUTH_METHODS on the wire (RFC 9593 §3.2).
@Suite struct AuthenticationAnnouncementTests {
    private func announcement(_ identifier: SignatureIdentifier) throws -> AuthenticationAnnouncement {
        try #require(AuthenticationAnnouncement(identifier))
    }

    @Test func threeShapes() throws {
        var bound = AuthenticationAnnouncement(.ecdsa256)
        bound.authority = 2
        let list = [try announcement(.ed25519), bound, AuthenticationAnnouncement(.sharedKey)]
        let notify = AuthenticationAnnouncement.notify(list)
        #expect(notify.type.rawValue == 16443)
        #expect(
            notify.data == [
                // Length, method 14, no authority, id-Ed25519.
                10, 14, 0, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70,
                // Length, ECDSA with SHA-256, the second authority.
                3, 9, 2,
                // Length, a shared key.
                2, 2,
            ])
        #expect(AuthenticationAnnouncement.list(notify.data) == list)
    }

    @Test func everyIdentifierIsReadBack() throws {
        let hashes: [HashFunction] = [.sha256, .sha384, .sha512]
        let identifiers: [SignatureIdentifier] =
            hashes.flatMap { [.rsaPKCS1($0), .rsaPSS($0), .ecdsa($0)] } + [.ed25519, .ed448]
        let list = try identifiers.map(announcement)
        let data = AuthenticationAnnouncement.notify(list).data
        #expect(AuthenticationAnnouncement.list(data) == list)
        #expect(Set(list).count == identifiers.count)
        #expect(SignatureIdentifier.rsaPSS(.md5).der == nil)
        #expect(AuthenticationAnnouncement(.ecdsa(.md5)) == nil)
    }

    /// A method of tomorrow does not hide those of today.
    @Test func unknownMethodsAreKept() {
        let list = AuthenticationAnnouncement.list([5, 200, 1, 7, 8, 2, 2, 3, 201, 0])
        #expect(list?.map(\.method.rawValue) == [200, 2, 201])
        #expect(list?.first?.algorithm == [7, 8])
    }

    @Test(arguments: [[0], [1], [1, 2], [2], [3, 9], [2, 2, 0, 0], [255, 14, 0]] as [[UInt8]])
    func nonsense(_ data: [UInt8]) {
        #expect(AuthenticationAnnouncement.list(data) == nil)
    }

    @Test func emptyAndEndless() {
        #expect(AuthenticationAnnouncement.list([]) == [])
        let many = [[UInt8]](repeating: [2, 2], count: 5000).flatMap { $0 }
        #expect(AuthenticationAnnouncement.list(many)?.count == 64)
    }
}
