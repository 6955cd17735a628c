import IKEMessages
import NetworkTypes
import Testing
import WireFormat

@Suite struct TrafficSelectorPayloadTests {
    /// RFC 7296 §3.13.1, spelt out: TCP port 80 of 10.0.0.1 to 10.0.0.9.
    static let tcp: [UInt8] = [1, 0, 0, 0, 7, 6, 0, 16, 0, 80, 0, 80, 10, 0, 0, 1, 10, 0, 0, 9]

    @Test func aSelectorIsReadFieldByField() throws {
        let payload = try TrafficSelectorPayload(parsing: Self.tcp)
        let range = try #require(AddressRange(IPAddress(v4: 0x0a00_0001), IPAddress(v4: 0x0a00_0009)))
        #expect(payload.selectors == [TrafficSelector(range, ipProtocol: .tcp, ports: .only(80))])
        #expect(payload.body == Self.tcp)
    }

    @Test func opaquePortsAreTheOnlyOnesTheWrongWayRound() throws {
        var bytes = Self.tcp
        bytes.replaceSubrange(8..<12, with: [0xff, 0xff, 0, 0])
        #expect(try TrafficSelectorPayload(parsing: bytes).selectors.first?.ports == .opaque)
        bytes.replaceSubrange(8..<12, with: [0xff, 0xff, 0, 1])
        #expect(throws: WireError.forbidden(field: "end port below start port 65535", value: 1)) {
            try TrafficSelectorPayload(parsing: bytes)
        }
    }

    /// Each changes one octet of the selector above.
    @Test(arguments: [(0, 0), (0, 2), (4, 8), (7, 15), (7, 17), (7, 3), (7, 0), (15, 10), (12, 11)] as [(Int, UInt8)])
    func oneWrongOctetIsRefused(_ offset: Int, _ value: UInt8) {
        var bytes = Self.tcp
        bytes[offset] = value
        #expect(throws: WireError.self) { try TrafficSelectorPayload(parsing: bytes) }
    }

    @Test func anUnknownTypeIsKeptAndSelectsNothing() throws {
        let bytes: [UInt8] = [2, 0, 0, 0, 9, 1, 0, 7, 5, 6, 7] + Self.tcp.dropFirst(4)
        let payload = try TrafficSelectorPayload(parsing: bytes)
        #expect(payload.elements.first == .unknown(type: 9, body: [1, 5, 6, 7]))
        #expect(payload.selectors.count == 1)
        #expect(payload.body == bytes)
    }

    @Test func theLargestIPv6RangeIsRead() throws {
        let all = try #require(IPPrefix("::/0"))
        let payload = TrafficSelectorPayload([TrafficSelector(all)])
        #expect(try TrafficSelectorPayload(parsing: payload.body) == payload)
    }
}
