import Clockwork
import GatewayModel
import SwanctlConfig
import Testing
import ViciMessages
import ViciServer
import WireFormat

@testable import Gateway

/// The pieces of a configuration, wherever they come from.
@Suite struct ConfigurationStoreTests {
    private let now = Instant.zero + .seconds(10)

    private func connection(_ name: String, rekey: String = "4h") -> ViciItem {
        ViciItem(
            .connection, name: name,
            fields: ViciTree { tree in
                tree.setList("remote_addrs", ["192.0.2.2"])
                tree.set("rekey_time", rekey)
                tree.setSection("local") { $0.set("auth", "psk") }
                tree.setSection("remote") { $0.set("auth", "psk") }
                tree.setSection("children") { $0.setSection("net") { _ in } }
            })
    }

    private func secret(_ id: String?, _ octets: [UInt8], owners: [String]) -> ViciItem {
        ViciItem(
            .sharedSecret, name: id,
            fields: ViciTree { tree in
                tree.set("type", "ike")
                tree[element: "data"] = .value(octets)
                tree.setList("owners", owners)
            })
    }

    @Test func whatIsLoadedJoinsTheFile() throws {
        let store = ConfigurationStore(try Fixtures.hq())
        #expect(store.load([connection("other"), secret("s1", [1, 2, 3], owners: ["a"])], now: now) == nil)
        #expect(store.names(of: .connection) == ["branch", "other"])
        #expect(store.names(of: .sharedSecret) == ["ike-branch", "s1"])
        #expect(store.whole.connections.map(\.name) == ["branch", "other"])
        #expect(store.whole.secrets.map(\.name) == ["ike-branch", "ike-s1"])
        #expect(store.whole.secrets.last?.value.exposedBytes() == [1, 2, 3])
    }

    @Test func aMistakeAnywhereLoadsNothing() throws {
        let store = ConfigurationStore(try Fixtures.hq())
        let complaint = store.load([connection("good"), connection("bad", rekey: "soon")], now: now)
        #expect(complaint?.hasPrefix("connections.bad.rekey_time: 'soon' is not a time; write a number") == true)
        #expect(store.names(of: .connection) == ["branch"])
        #expect(store.due == nil)
    }

    private func pool(_ name: String, _ fields: [(String, String)]) -> ViciItem {
        ViciItem(.pool, name: name, fields: ViciTree { tree in for (key, value) in fields { tree.set(key, value) } })
    }

    /// A list, as swanctl sends what it does not know, and the same pool once more.
    @Test func poolsThatOverlapAreWarnedOf() throws {
        let store = ConfigurationStore(try Fixtures.hq())
        var told: [String] = []
        store.onWarning = { told.append($0) }
        let listed = ViciItem(
            .pool, name: "a",
            fields: ViciTree { tree in
                tree.setList("prefixes", ["fd00::/48"])
                tree.setList("prefix_length", ["60"])
            })
        #expect(store.load([listed, pool("a", [("prefixes", "fd00::/48")])], now: now) == nil && told == [])
        #expect(store.whole.pools.map(\.prefixes?.length) == [64])
        #expect(store.load([listed, pool("b", [("addrs", "fd00::/120")])], now: now) == nil)
        #expect(told == ["pools 'a' and 'b' overlap: a client's prefix would be another's too"])
        #expect(store.whole.pools.map(\.prefixes?.length) == [60, nil])
        let wrong = store.load([pool("c", [("prefixes", "10.3.0.0/16")])], now: now)
        #expect(wrong?.hasPrefix("pools.c.prefixes: '10.3.0.0/16' is not an IPv6 prefix") == true)
    }

    private func tunnel(_ name: String, _ id: String, _ fields: [String: String] = [:]) -> ViciItem {
        ViciItem(
            .connection, name: name,
            fields: ViciTree { tree in
                tree.set("profile", "cloudflare")
                tree.setList("local_addrs", ["192.0.2.1"])
                tree.setList("remote_addrs", ["192.0.2.2"])
                for (key, value) in fields.sorted(by: { $0.key < $1.key }) { tree.set(key, value) }
                tree.setSection("local") { section in
                    section.set("auth", "psk")
                    section.set("id", id)
                }
                tree.setSection("remote") { $0.set("auth", "psk") }
                tree.setSection("children") { $0.setSection("net") { _ in } }
            })
    }

    /// Each comes alone, and what they mean together is looked at all the same.
    @Test func connectionsAreComparedWithThoseThatAreThere() throws {
        let store = ConfigurationStore(try Fixtures.hq())
        let name = "t2.acc.ipsec.cloudflare.com"
        #expect(store.load([tunnel("a", "192.0.2.1")], now: now) == nil)
        let complaint = try #require(store.load([tunnel("b", name)], now: now))
        #expect(complaint.contains("connection 'a', local: an address names this tunnel, and another tunnel, 'b'"))
        #expect(store.names(of: .connection) == ["branch", "a"])
        // In one load as well; the same one again, or with a name of its own, is no conflict.
        #expect(store.load([tunnel("c", name), tunnel("d", "192.0.2.1")], now: now) != nil)
        #expect(store.load([tunnel("a", "192.0.2.1")], now: now) == nil)
        #expect(store.load([tunnel("a", "keyid:acc_t1")], now: now) == nil)
        #expect(store.load([tunnel("b", name)], now: now) == nil)
        #expect(store.load([tunnel("a", "192.0.2.1")], now: now)?.contains("'a'") == true)
        #expect(store.unload(.connection, "b", now: now))
        #expect(store.load([tunnel("a", "192.0.2.1")], now: now) == nil)
        // A file that comes later is taken, and what does not get along with it is told.
        var told: [String] = []
        store.onWarning = { told.append($0) }
        var file = try Fixtures.hq()
        let other = ConfigurationStore(LoadedConfiguration())
        #expect(other.load([tunnel("z", name)], now: now) == nil)
        file.connections += other.whole.connections
        store.replaceFile(file)
        #expect(told.count == 1 && told.first?.contains("another tunnel, 'z'") == true, "\(told)")
    }

    /// What a file's reader warns of is told as well when a client loads it.
    @Test func warningsAreTold() throws {
        let store = ConfigurationStore(try Fixtures.hq())
        var told: [String] = []
        store.onWarning = { told.append($0) }
        var item = connection("weak", rekey: "1h")
        item.fields.set("proposals", "3des-sha1-modp1024")
        #expect(store.load([item, connection("fine")], now: now) == nil)
        #expect(told.contains { $0.contains("connections.weak.proposals: 3des is weak") }, "\(told)")
        #expect(told.allSatisfy { !$0.contains("fine") }, "\(told)")
        told = []
        item.fields.set("rekey_time", "soon")
        #expect(store.load([item], now: now) != nil && told == [])
    }

    /// A key that nobody knows comes before what may only follow from it.
    @Test func unknownKeysAreNamedFirst() throws {
        let store = ConfigurationStore(try Fixtures.hq())
        let item = ViciItem(
            .connection, name: "gw",
            fields: ViciTree { tree in
                tree.set("rekey_time", "soon")
                tree.set("remote_adrs", "192.0.2.2")
                tree.setSection("children") { $0.setSection("net") { $0.set("esp_proposal", "aes128gcm16") } }
            })
        let complaint = try #require(store.load([item], now: now))
        #expect(
            complaint.hasPrefix(
                "connections.gw.children.net.esp_proposal: unknown key 'esp_proposal'; did you mean 'esp_proposals'? - "
                    + "connections.gw.remote_adrs: unknown key 'remote_adrs'; did you mean 'remote_addrs'? (and "),
            "\(complaint)")
        #expect(!complaint.contains("soon"))
    }

    @Test func changesAreTakenOverTogetherAndOnlyWhenThereAreAny() throws {
        let store = ConfigurationStore(try Fixtures.hq())
        var changes: [[String]] = []
        store.onChange = { changes.append($1) }
        for name in ["a", "b", "c"] { #expect(store.load([connection(name)], now: now) == nil) }
        #expect(changes.isEmpty)
        #expect(store.due == now + .milliseconds(100))
        store.apply()
        store.apply()
        #expect(changes == [["a", "b", "c"]])
        // The same again is no change.
        #expect(store.load([connection("a")], now: now) == nil)
        #expect(store.due == nil)
        #expect(store.load([connection("b", rekey: "1h")], now: now) == nil)
        store.apply()
        #expect(changes.last == ["b"])
    }

    @Test func theFilesOwnAreUnloadedAndReplacedToo() throws {
        let store = ConfigurationStore(try Fixtures.hq())
        #expect(store.unload(.connection, "branch", now: now))
        #expect(!store.unload(.connection, "branch", now: now))
        #expect(store.whole.connections.isEmpty)
        #expect(store.load([secret("ike-branch", [9], owners: [])], now: now) == nil)
        #expect(store.whole.secrets.map { $0.value.exposedBytes() } == [[9]])
        #expect(store.names(of: .sharedSecret) == ["ike-branch"])
        store.replaceFile(try Fixtures.hq())
        #expect(store.names(of: .connection) == ["branch"])
        #expect(store.whole.secrets.count == 1)
    }

    @Test func clearingForgetsTheFilesSecretsToo() throws {
        let store = ConfigurationStore(try Fixtures.hq())
        #expect(store.load([secret(nil, [1], owners: [])], now: now) == nil)
        #expect(store.names(of: .sharedSecret) == ["ike-branch"])
        store.clearCredentials(now: now)
        #expect(store.whole.secrets.isEmpty)
    }

    @Test func aConnectionThatTheFileHasAlreadyIsNoChange() throws {
        let store = ConfigurationStore(try Fixtures.hq())
        let item = ViciItem(
            .connection, name: "branch",
            fields: ViciTree { tree in
                tree.setList("local_addrs", ["127.0.0.1"])
                tree.setList("remote_addrs", ["127.0.0.2"])
                tree.setList("proposals", ["aes128gcm16-prfsha256-x25519"])
                tree.setSection("local") {
                    $0.set("auth", "psk"); $0.set("id", "hq.example")
                }
                tree.setSection("remote") {
                    $0.set("auth", "psk"); $0.set("id", "branch.example")
                }
                tree.setSection("children") { children in
                    children.setSection("net") { child in
                        child.setList("local_ts", ["10.1.0.0/16"])
                        child.setList("remote_ts", ["10.2.0.0/16"])
                        child.setList("esp_proposals", ["aes128gcm16"])
                    }
                }
            })
        #expect(store.load([item], now: now) == nil)
        #expect(store.due == nil)
    }

    @Test func piecesKeepTheirOrderWhateverIsTakenOut() {
        var pieces = NamedPieces()
        for number in 0..<200 { pieces.set("n\(number)", LoadedConfiguration()) }
        let removed = (0..<150).map { pieces.remove("n\($0)") }
        #expect(!removed.contains(false))
        pieces.set("n3", LoadedConfiguration())
        #expect(pieces.names == (150..<200).map { "n\($0)" } + ["n3"])
        let again = pieces.remove("n7")
        #expect(!again)
        #expect(pieces["n3"] != nil && pieces["n199"] != nil)
    }
}
