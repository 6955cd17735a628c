import LinuxSystem
import NetworkTypes
import Testing

@Suite(.needsRoot) struct NetworkNamespaceTests {
    @Test("A namespace has links of its own, and the caller stays where it was")
    func isolation() throws {
        let before = try RouteSocket().links().map(\.index)
        try Support.withNamespace("own") { namespace, _ in
            try namespace.run {
                try RouteSocket().addLink("only-here", kind: "bridge")
            }
            let inside = try namespace.run { try RouteSocket().links().map(\.name) }
            #expect(Set(inside) == ["lo", "only-here"])
            #expect(try !RouteSocket().links().map(\.name).contains("only-here"))
        }
        #expect(try RouteSocket().links().map(\.index) == before)
    }

    @Test("Sockets stay where they were made")
    func socketsStay() throws {
        try Support.withNamespace("stay") { namespace, _ in
            let (first, second) = try namespace.run {
                (
                    try UDPSocket.bind(Endpoint(.loopback(.v4), 50000)),
                    try UDPSocket.bind(Endpoint(.loopback(.v4), 50001))
                )
            }
            // The same port outside is free.
            let outside = try UDPSocket.bind(Endpoint(.loopback(.v4), 50001))
            #expect(try first.send([1], along: Path(local: first.localEndpoint, remote: second.localEndpoint)))
            try second.awaitDatagram()
            #expect(try !outside.descriptor.wait(milliseconds: 50))
        }
    }

    @Test("Names: opened, taken, unknown, forbidden")
    func names() throws {
        let name = "mlt\(ProcessInformation.identifier)-names"
        _ = try NetworkNamespace.create(name)
        let taken = try #require(throws: SystemError.self) { try NetworkNamespace.create(name) }
        #expect(taken.errno == .exists)
        #expect(try NetworkNamespace.open(name).run { try RouteSocket().links().count } == 1)
        #expect(try NetworkNamespace.delete(name))
        #expect(try !NetworkNamespace.delete(name))
        let missing = try #require(throws: SystemError.self) { try NetworkNamespace.open(name) }
        #expect(missing.errno == .noSuchEntry)
        for bad in ["", "..", "a/b", "a\0b"] {
            #expect(throws: SystemError.self) { try NetworkNamespace.create(bad) }
        }
        #expect(try NetworkNamespace.current().run { try RouteSocket().links() }.contains { $0.isLoopback })
    }

    @Test("An error inside comes out")
    func errorInside() throws {
        try Support.withNamespace("throws") { namespace, _ in
            let error = try #require(throws: SystemError.self) {
                _ = try namespace.run { try RouteSocket().link(named: "nope0") }
            }
            #expect(error.errno == .noSuchDevice)
        }
    }
}
