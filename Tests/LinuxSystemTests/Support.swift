import LinuxSystem
import NetworkTypes
import Testing

/// What several tests need. Every name carries the process's number, so that two runs do not meet.
enum Support {
    /// Whether we may make namespaces and devices. As root, a test that cannot do so fails: it is never passed over.
    static let isRoot: Bool = {
        let isRoot = ProcessInformation.effectiveUser == 0
        if !isRoot { print("LinuxSystemTests: not root, so the tests that need namespaces and devices do not run") }
        return isRoot
    }()

    /// Runs `body` with a namespace that is there for it alone, its loopback up.
    static func withNamespace(
        _ label: String, _ body: (NetworkNamespace, RouteSocket) throws -> Void
    ) throws {
        let name = "mlt\(ProcessInformation.identifier)-\(label)"
        let namespace = try NetworkNamespace.create(name)
        defer { #expect(throws: Never.self) { try NetworkNamespace.delete(name) } }
        let route = try namespace.run { try RouteSocket() }
        try route.change(try route.link(named: "lo").index, LinkChange(up: true))
        try body(namespace, route)
    }

    /// A path for a file that the caller removes.
    static func temporaryPath(_ label: String) -> String {
        "/tmp/martlet-\(ProcessInformation.identifier)-\(label)"
    }

    static func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
    static func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }
}

extension Trait where Self == ConditionTrait {
    static var needsRoot: Self { .enabled(if: Support.isRoot, "needs root: namespaces and devices") }
}

extension DatagramSocket {
    /// Waits until something can be received.
    func awaitDatagram() throws { #expect(try descriptor.wait(milliseconds: 2000), "no datagram came") }
}
