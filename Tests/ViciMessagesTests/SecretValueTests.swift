import Testing
import WireFormat

@testable import ViciMessages

/// Keys and passwords that control clients load: in memory that is wiped, and in no description.
@Suite struct SecretValueTests {
    private static let password = "a password that nobody guesses"

    private static func request(_ name: String) throws -> [UInt8] {
        let tree = ViciTree { tree in
            tree["type"] = "eap"
            tree["data"] = password
            tree.setSection("inner") { $0["data"] = password }
        }
        return try ViciPacket.request(name, tree).framed()
    }

    @Test(arguments: ["load-key", "load-shared"]) func whatIsLoadedIsASecret(_ name: String) throws {
        var framer = ViciFramer()
        let packets = try framer.receive(try Self.request(name))
        guard case .request(_, let tree)? = packets.first else {
            Issue.record("\(packets)")
            return
        }
        #expect(tree[element: "data"] == .secret(SecretBytes(Array(Self.password.utf8))))
        #expect(tree.secret("data") == SecretBytes(Array(Self.password.utf8)))
        #expect(tree["data"] == nil && tree["type"] == "eap")
        // What is inside a section is no business of these commands.
        #expect(tree.section("inner")?["data"] == Self.password)
        let shown = ViciTree(tree.entries.filter { $0.name != "inner" }.map { ($0.name, $0.element) }).description
        #expect(!shown.contains(Self.password) && shown.contains("secret, 30 octets"))
        #expect(framer.pendingCount == 0)
        // It is written as it came.
        #expect(try ViciPacket.request(name, tree).framed() == Self.request(name))
    }

    @Test func otherCommandsHaveValues() throws {
        for name in ["load-cert", "load-conn", "initiate"] {
            var framer = ViciFramer()
            guard case .request(_, let tree)? = try framer.receive(try Self.request(name)).first else {
                Issue.record("\(name)")
                return
            }
            #expect(tree["data"] == Self.password)
            #expect(tree.secret("data") == SecretBytes(Array(Self.password.utf8)))
        }
    }

    @Test("Octet by octet, and two at once, the same packets come out")
    func pieces() throws {
        let one = try Self.request("load-key")
        let whole = one + one + Array(one.prefix(9))
        for size in [1, 3, 64, whole.count] {
            var framer = ViciFramer()
            var count = 0
            var place = 0
            while place < whole.count {
                count += try framer.receive(whole[place..<min(place + size, whole.count)]).count
                place += size
            }
            #expect(count == 2 && framer.pendingCount == 9)
        }
    }

    @Test func wipingLeavesZeros() {
        var octets: [UInt8] = [1, 2, 3]
        octets.wipe()
        #expect(octets == [0, 0, 0])
        var none: [UInt8] = []
        none.wipe()
        #expect(none.isEmpty)
    }
}
