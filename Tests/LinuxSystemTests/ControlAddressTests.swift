import NetworkTypes
import Testing

@testable import LinuxSystem

/// Where the control protocol may be spoken, and where not.
@Suite struct ControlAddressTests {
    @Test func whatIsServed() throws {
        #expect(try ControlAddress("unix:///run/x") == .path("/run/x"))
        for empty in ["", "unix://"] { #expect(throws: ControlAddress.Problem.self) { try ControlAddress(empty) } }
        #expect(try ControlAddress("/run/x") == .path("/run/x"))
        #expect(try ControlAddress("tcp://127.0.0.1:4502") == .loopback(Endpoint(.loopback(.v4), 4502)))
        #expect(try ControlAddress("tcp://127.8.0.1:1").uri == "tcp://127.8.0.1:1")
        #expect(try ControlAddress("tcp://[::1]:4502") == .loopback(Endpoint(.loopback(.v6), 4502)))
        for text in ["tcp://127.0.0.1:4502", "tcp://[::1]:65535", "unix:///run/x"] {
            #expect(try ControlAddress(ControlAddress(text).description).uri == text)
        }
    }

    @Test(arguments: [
        ("tcp://0.0.0.0:4502", "not on loopback"), ("tcp://192.0.2.1:4502", "not on loopback"),
        ("tcp://[::]:4502", "not on loopback"), ("tcp://[::ffff:127.0.0.1]:4502", "not on loopback"),
        ("tcp://localhost:4502", "is no address"), ("tcp://:4502", "is no address"),
        ("tcp://127.1:4502", "is no address"),
        ("tcp://127.0.0.1", "names no port"), ("tcp://127.0.0.1:", "names no port"), ("tcp://", "names no port"),
        ("tcp://127.0.0.1:0", "names no port"), ("tcp://127.0.0.1:65536", "names no port"),
        ("tcp://127.0.0.1:-1", "names no port"), ("http://127.0.0.1:80", "neither unix://PATH nor tcp://"),
    ])
    func whatIsRefused(_ text: String, _ reason: String) {
        let problem = #expect(throws: ControlAddress.Problem.self) { try ControlAddress(text) }
        #expect(problem?.description.contains(reason) == true, "\(problem?.description ?? "-")")
    }

    /// Whoever makes the value by hand gets no further.
    @Test func nothingElseIsOpened() {
        let everywhere = ControlAddress.loopback(Endpoint(.unspecified(.v4), 0))
        #expect(throws: SystemError.self) { try UnixListener(everywhere) }
        #expect(throws: SystemError.self) { try UnixStream.connect(everywhere) }
    }

    @Test(arguments: [IPAddress.Family.v4, .v6]) func bothEndsOnLoopback(_ family: IPAddress.Family) throws {
        let listener = try UnixListener(.loopback(Endpoint(.loopback(family), 0)))
        let port = try UDPSocket.boundEndpoint(listener.descriptor, else: Endpoint(.loopback(family), 0))
        let client = try UnixStream.connect(.loopback(port))
        #expect(try listener.descriptor.wait(milliseconds: 2_000))
        let server = try #require(try listener.accept())
        #expect(try client.write(Array("ping".utf8)) == 4)
        #expect(try server.descriptor.wait(milliseconds: 2_000))
        var buffer = [UInt8](repeating: 0, count: 10)
        #expect(try server.read(into: &buffer) == .octets(4))
        #expect(buffer.prefix(4) == Array("ping".utf8)[...])
    }

    @Test func nobodyThereIsAnError() throws {
        let listener = try UnixListener(.loopback(Endpoint(.loopback(.v4), 0)))
        let port = try UDPSocket.boundEndpoint(listener.descriptor, else: Endpoint(.loopback(.v4), 0))
        // The port is nobody's when the listener is gone.
        withExtendedLifetime(listener) {}
        let other = Endpoint(IPAddress(v4: 0x7f00_0009), port.port)
        #expect(throws: SystemError.self) { try UnixStream.connect(.loopback(other)) }
    }
}
