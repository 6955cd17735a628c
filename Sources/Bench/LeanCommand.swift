import ArgumentParser
import CCount
import GatewayModel
import IPsecCrypto
import NetworkTypes
import UserspacePlane

/// `martlet-bench lean`.
struct Lean: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Proves that a packet costs no allocation and no reference count.",
        discussion: """
            Counts every allocation of the process and every retain and release in our code, in the engine that seals and \
            opens, and in the packet threads of two planes between which packets run over the loopback, one by one and as \
            trains of TCP that are cut and joined again. Ends with status 1 when there is one of any for a thousand \
            packets in the engine, or one for fifty in the threads: a reference is counted once for a batch of 64, and no \
            more.
            """)

    @Option(help: "Packets.")
    var packets = 1_000_000

    func validate() throws {
        guard packets >= 10_000 else { throw ValidationError("Fewer than 10000 packets prove nothing.") }
    }

    func run() throws {
        var isLean = true
        if martlet_counts_references() == 0 {
            print("# reference counts are not counted on this processor")
        }
        for suite in ["aes128gcm16", "aes256-sha256", "chacha20poly1305"] {
            var bench = try PacketBench(Proposal(parsing: suite, for: .esp), size: 1400)
            // Whatever is made once is made now.
            try bench.cycle(1000)
            let before = martlet_count()
            try bench.cycle(packets)
            isLean = report("engine/\(suite)", before, martlet_count(), packets, oneIn: 1000) && isLean
        }
        for joined in [1, LeanPort.train] { isLean = try workers(joined) && isLean }
        if !isLean { throw ExitCode.failure }
    }

    private func report(
        _ name: String, _ before: martlet_counts, _ after: martlet_counts, _ packets: Int, oneIn least: Int
    ) -> Bool {
        var isLean = true
        for (what, count) in [
            ("allocations", after.allocations - before.allocations), ("retains", after.retains - before.retains),
            ("releases", after.releases - before.releases),
        ] {
            print(Figure(name: "lean/\(name)/\(what)", value: Double(count), unit: "of/\(packets)").line)
            if Int(count) * least > packets { isLean = false }
        }
        return isLean
    }

    /// Packets from one plane's port to another's, through both packet threads and the kernel's UDP: so many at a time as
    /// one packet that TCP has not cut yet.
    private func workers(_ joined: Int) throws -> Bool {
        let name = joined > 1 ? "trains" : "workers"
        let (source, sink) = (try LeanPort(size: 1400, joined: joined), try LeanPort(size: 1400, joined: joined))
        let near = try UserspacePlane(PlaneConfiguration(port: source))
        let far = try UserspacePlane(PlaneConfiguration(port: sink))
        guard let here = near.sharedEndpoints.first, let there = far.sharedEndpoints.first else { return false }
        for (plane, isNear) in [(far, false), (near, true)] {
            let association = source.association(
                isNear ? .outbound : .inbound,
                isNear ? Path(local: here, remote: there) : Path(local: there, remote: here))
            try plane.obey(.install(association))
            if isNear {
                try plane.obey(
                    .protect(
                        association.child, local: association.localSelectors, remote: association.remoteSelectors,
                        spi: association.spi))
            }
        }
        guard near.settle(), far.settle() else { return false }
        try source.offer(20_000)
        try sink.await(source)
        let (began, arrived) = (source.sent, sink.received)
        let before = martlet_count()
        try source.offer(packets)
        try sink.await(source)
        let after = martlet_count()
        let (sent, received) = (source.sent - began, sink.received - arrived)
        print(Figure(name: "lean/\(name)/sent", value: Double(sent), unit: "packets").line)
        print(Figure(name: "lean/\(name)/received", value: Double(received), unit: "packets").line)
        guard sent >= packets, received * 2 > packets else { return false }
        // Both packet threads together, and this one, which only waits.
        let isLean = report(name, before, after, sent, oneIn: 50)
        try near.stop()
        try far.stop()
        return isLean
    }
}
