import Clockwork
import Gateway
import LinuxSystem
import NetworkTypes
import UserspacePlane
import WireFormat

/// The demonstration without privileges: sockets on loopback, hosts in the process.
final class LoopbackStage: DemoStage {
    private let queues: (hq: PacketQueue, branch: PacketQueue)
    private let hosts: DemoHosts
    private let done: Wakeup
    private var threads: [WorkerThread] = []

    private let sites: (hq: DemoSites.Site, branch: DemoSites.Site)

    /// A stage on which `bytes` octets are sent.
    init(bytes: Int) throws {
        sites = try (
            DemoSites.Site(name: "hq", host: "10.1.0.10", network: "10.1.0.0/16"),
            DemoSites.Site(name: "branch", host: "10.2.0.10", network: "10.2.0.0/16")
        )
        queues = (try PacketQueue(), try PacketQueue())
        done = try Wakeup()
        hosts = DemoHosts(
            near: queues.hq, sites.hq.host, far: queues.branch, sites.branch.host, bytes: bytes, done: done)
    }

    var introduction: String {
        "Two gateways in this process, hq (10.1.0.0/16) and branch (10.2.0.0/16), speak IKEv2 over loopback."
    }

    func makeSites(on loop: ControlLoop) throws -> DemoSites {
        try DemoSites(
            (sites.hq, try UserspacePlane(PlaneConfiguration(port: queues.hq))),
            (sites.branch, try UserspacePlane(PlaneConfiguration(port: queues.branch))), on: loop)
    }

    func begin(on loop: ControlLoop, say: @escaping (String) -> Void, done finish: @escaping () -> Void) throws {
        let hosts = hosts
        threads.append(try WorkerThread(name: "branch-host") { hosts.runFar() })
        threads.append(try WorkerThread(name: "hq-host") { hosts.runNear() })
        try loop.add(done.descriptor, .readable) { [done] _ in
            _ = done.drain()
            finish()
        }
        // Progress, twice a second.
        var next = MonotonicClock.now() + .milliseconds(500)
        loop.addDeadline({ next }) {
            next = MonotonicClock.now() + .milliseconds(500)
            let state = hosts.state
            if !state.isDone, state.bytesAcknowledged > 0 {
                let percent = state.bytesAcknowledged * 100 / max(1, state.bytesTotal)
                say(
                    "  sent \(Readable.bytes(Int64(state.bytesAcknowledged))) of "
                        + "\(Readable.bytes(Int64(state.bytesTotal))) (\(percent) %)")
            }
        }
    }

    func complete(_ report: inout DemoReport) {
        let state = hosts.state
        report.ping_ms = state.pings.map { $0.seconds * 1000 }
        if let failure = state.failure { report.failures.append(failure) }
        guard state.isDone, state.failure == nil else {
            if state.failure == nil, report.failures.isEmpty {
                report.failures.append("the transfer did not end in time")
            }
            return
        }
        let seconds = state.elapsed.seconds
        report.transfer = DemoReport.Transfer(
            bytes: state.bytesTotal, seconds: seconds,
            megabits_per_second: seconds > 0 ? Double(state.bytesTotal) * 8 / seconds / 1e6 : 0,
            packets_sent_again: state.sentAgain, sha256_sent: Hex.encode(state.sentDigest),
            sha256_received: Hex.encode(state.receivedDigest))
        if state.sentDigest != state.receivedDigest { report.failures.append("the digests at the two ends differ") }
        if state.pings.count != 3 { report.failures.append("\(3 - state.pings.count) of 3 pings were not answered") }
    }

    func strike() {
        hosts.stop()
        for thread in threads { thread.join() }
        threads = []
    }
}

extension DemoSites.Site {
    /// A site whose gateway is at `address`; the address is the demonstration's own, so that it can't be wrong unless
    /// this program is.
    init(name: String, address: String = "127.0.0.1", host: String, network: String) throws {
        guard let address = IPAddress(address), let host = IPAddress(host), let network = IPPrefix(network) else {
            throw CommandFailure("the demonstration's own addresses can't be read")
        }
        self.init(name: name, address: address, network: network, host: host)
    }
}
