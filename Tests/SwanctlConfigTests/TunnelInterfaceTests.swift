import GatewayModel
import NetworkTypes
import SwanctlConfig
import Testing

/// Children with a device of their own.
struct TunnelInterfaceTests {
    @Test func allOfItIsRead() throws {
        let loaded = try load(
            connection(
                "",
                child: """
                    local_ts = 0.0.0.0/0
                    remote_ts = 0.0.0.0/0
                    tunnel_interface = vti%02d
                    tunnel_interface_addresses = 10.9.0.1/30, fd09::1/64, 10.9.1.1
                    tunnel_interface_mtu = 1390
                    tunnel_interface_netns = blue
                    """))
        let interface = try #require(loaded.connections.first?.children.first?.interface)
        #expect(interface.nameTemplate == "vti%02d")
        #expect(
            interface.addresses.map { "\($0.address)/\($0.prefixLength)" } == [
                "10.9.0.1/30", "fd09::1/64", "10.9.1.1/32",
            ])
        #expect(interface.mtu == 1390)
        #expect(interface.namespace == "blue")
        #expect(try load(connection("")).connections.first?.children.first?.interface == nil)
    }

    @Test(arguments: [
        ("tunnel_interface = a-name-that-is-too-long", "tunnel_interface: 'a-name-that-is-too-long' is no name"),
        ("tunnel_interface = vti%s", "tunnel_interface: 'vti%s' is no name"),
        ("tunnel_interface = %d%d", "tunnel_interface: '%d%d' is no name"),
        ("tunnel_interface = a/b", "tunnel_interface: 'a/b' is no name"),
        ("tunnel_interface_mtu = 1390", "tunnel_interface_mtu: the child has no device of its own"),
        (
            "tunnel_interface = x\ntunnel_interface_addresses = 10.0.0.1/33",
            "tunnel_interface_addresses: '10.0.0.1/33' is not an address of a device"
        ),
        (
            "mode = transport\ntunnel_interface = x",
            "tunnel_interface: transport mode carries this host's own packets, which do not come by a device"
        ),
        (
            "mode = drop\nstart_action = trap\ntunnel_interface = x",
            "tunnel_interface: a policy with mode = drop has no tunnel that a device could be for"
        ),
        (
            "mode = pass\nstart_action = trap\ntunnel_interface = x",
            "tunnel_interface: a policy with mode = pass has no tunnel that a device could be for"
        ),
    ])
    func mistakesAreNamed(lines: String, message: String) {
        let found = errors(connection("", child: lines))
        #expect(found.count == 1)
        #expect(found.first?.contains(message) == true, "\(found)")
    }

    private func two(_ first: String, _ second: String) -> String {
        connection("", child: "local_ts = 10.1.0.0/16\n\(first)\n}\nother {\nlocal_ts = 10.1.0.0/16\n\(second)")
    }

    @Test func aDeviceIsOneChildsOnly() throws {
        let found = errors(two("tunnel_interface = vti1", "tunnel_interface = vti1"))
        #expect(found.count == 1)
        #expect(
            found.first?.contains(
                "tunnel_interface 'vti1' of child 'other' of connection 'gw' is that of child 'net' of connection 'gw'")
                == true, "\(found)")
        #expect(errors(two("tunnel_interface = vti1", "tunnel_interface = vti2")).isEmpty)
        #expect(errors(two("tunnel_interface = vti%d", "tunnel_interface = vti%d")).isEmpty)
        #expect(
            errors(two("tunnel_interface = vti1", "tunnel_interface = vti1\ntunnel_interface_netns = blue")).isEmpty)
    }

    @Test func templatesCountWithLeadingZeros() {
        #expect(VirtualInterface(nameTemplate: "vti%02d").name(7) == "vti07")
        #expect(VirtualInterface(nameTemplate: "vti%02d").name(123) == "vti123")
        #expect(VirtualInterface(nameTemplate: "t%dx").name(7) == "t7x")
        #expect(VirtualInterface(nameTemplate: "t").name(7) == "t")
        #expect(VirtualInterface(nameTemplate: "t%2d").name(7) == nil)
        #expect(VirtualInterface(nameTemplate: "t%").name(7) == nil)
        #expect(VirtualInterface(nameTemplate: "fifteen-octet%d").name(7) == "fifteen-octet7")
        #expect(VirtualInterface(nameTemplate: "fifteen-octet%d").name(77) == "fifteen-octet77")
        #expect(VirtualInterface(nameTemplate: "fifteen-octet%d").name(777) == nil)
    }
}
