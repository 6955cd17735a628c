import Foundation
import Gateway
import LinuxSystem
import NetworkTypes
import UserspacePlane

/// The demonstration with the kernel's own packets: two network namespaces joined by a cable, a TUN device in each.
///
/// It owns the namespaces and removes them. Needs root.
final class NamespaceStage: DemoStage {
    private let names: (hq: String, branch: String)
    private let spaces: (hq: NetworkNamespace, branch: NetworkNamespace)
    private let sites: (hq: DemoSites.Site, branch: DemoSites.Site)
    private var output: [String] = []
    private var pingFailed = true

    init() throws {
        guard ProcessInformation.hasSystemAdministration, ProcessInformation.hasNetworkAdministration else {
            throw CommandFailure(
                "--netns makes network namespaces, which needs root; `martlet demo` alone needs nothing")
        }
        let number = ProcessInformation.identifier
        names = ("martlet-demo-hq-\(number)", "martlet-demo-branch-\(number)")
        sites = try (
            DemoSites.Site(name: "hq", address: "192.0.2.1", host: "10.1.0.1", network: "10.1.0.0/16"),
            DemoSites.Site(name: "branch", address: "192.0.2.2", host: "10.2.0.1", network: "10.2.0.0/16")
        )
        let hq = try NetworkNamespace.create(names.hq)
        do {
            spaces = (hq, try NetworkNamespace.create(names.branch))
        } catch {
            _ = try? NetworkNamespace.delete(names.hq)
            throw error
        }
    }

    var introduction: String {
        "Two network namespaces, hq (10.1.0.0/16) and branch (10.2.0.0/16), joined by a cable: 192.0.2.1 to 192.0.2.2."
    }

    func makeSites(on loop: ControlLoop) throws -> DemoSites {
        let cable = RouteSocket.self
        let branch = spaces.branch
        try spaces.hq.run {
            try cable.init().addPair("cable", "cable", firstIn: nil, secondIn: branch)
        }
        return try DemoSites(
            (sites.hq, try plane(sites.hq, in: spaces.hq)), (sites.branch, try plane(sites.branch, in: spaces.branch)),
            on: loop)
    }

    private func plane(_ site: DemoSites.Site, in space: NetworkNamespace) throws -> UserspacePlane {
        try space.run {
            let socket = try RouteSocket()
            let loopback = try socket.link(named: "lo").index
            let cable = try socket.link(named: "cable").index
            try socket.change(loopback, LinkChange(up: true))
            try socket.change(cable, LinkChange(up: true))
            try socket.add(InterfaceAddress(interface: cable, address: site.address, prefixLength: 24))
            try socket.add(InterfaceAddress(interface: loopback, address: site.host, prefixLength: 32))
            return try UserspacePlane(PlaneConfiguration())
        }
    }

    func begin(on loop: ControlLoop, say: @escaping (String) -> Void, done: @escaping () -> Void) throws {
        say("  the kernel pings \(sites.branch.host) from \(sites.hq.host)")
        let ping = Process()
        ping.executableURL = URL(fileURLWithPath: "/bin/sh")
        ping.arguments = [
            "-c",
            "exec ip netns exec \(names.hq) ping -c 3 -i 0.3 -W 2 -I \(sites.hq.host) \(sites.branch.host)",
        ]
        let pipe = Pipe()
        ping.standardOutput = pipe
        ping.standardError = pipe
        let finished = try Wakeup()
        ping.terminationHandler = { _ in finished.signal() }
        try ping.run()
        try loop.add(finished.descriptor, .readable) { [unowned self] _ in
            _ = finished.drain()
            let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            output = text.split(separator: "\n").map(String.init)
            pingFailed = ping.terminationStatus != 0
            done()
        }
    }

    func complete(_ report: inout DemoReport) {
        report.kernel_ping = output
        if pingFailed { report.failures.append("the kernel's ping was not answered") }
        if let side = report.sides.first, side.packets_in < 3 || side.packets_out < 3 {
            report.failures.append("the ping did not go through the tunnel")
        }
    }

    func strike() {
        _ = try? NetworkNamespace.delete(names.hq)
        _ = try? NetworkNamespace.delete(names.branch)
    }
}
