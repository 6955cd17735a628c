import ArgumentParser
import Clockwork
import IPsecCrypto
import LinuxSystem
import UserspacePlane

/// `martlet-bench planes`.
struct Planes: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures the user-space data plane with real devices and sockets, driven through its interface.",
        discussion: """
            Runs as root in a network namespace of its own, whose loopback is up and has the address 10.1.0.1/32: \
            `Interop/plane` makes one. It prints `ready` once all SAs are there and waits for a line, so that somebody \
            may look at the process, then sends packets to all tunnels in turn, without segmentation offload, and says \
            what one costs both packet threads, system calls included. With --rekeys it sends at the given rate \
            instead, first without and then with so many rekeyings, and says how many packets were lost.
            """)

    @Option(help: "Tunnels, each with SAs and policies of its own.")
    var tunnels = 1

    @Option(help: "Octets of a packet, the IP header included.")
    var size = 64

    @Option(help: "Seconds of packets.")
    var seconds = 3

    @Option(help: "The ESP proposal.")
    var esp = "aes128gcm16"

    @Option(help: "Rekeyings of the one tunnel; 0 for none.")
    var rekeys = 0

    @Option(help: "Packets a second while rekeying; 0 for half of what goes through.")
    var rate = 0

    func validate() throws {
        guard (1...1_000_000).contains(tunnels), (28...1400).contains(size), seconds > 0, rekeys >= 0, rate >= 0 else {
            throw ValidationError("The numbers are out of range.")
        }
    }

    func run() throws {
        let pair = try PlanePair(Proposal(parsing: esp, for: .esp), size: size, offload: false)
        if rekeys > 0 {
            try rekey(pair)
        } else {
            try carry(pair)
        }
        try pair.near.stop()
        try pair.far.stop()
    }

    /// Shared with whoever started us, and never closed.
    private static let output = Descriptor(owning: 1)

    // MARK: The cost of a packet

    private func carry(_ pair: PlanePair) throws {
        let before = ProcessInformation.residentOctets ?? 0
        try pair.install(tunnels)
        try pair.settle()
        let after = ProcessInformation.residentOctets ?? 0
        // An outbound SA and its policies here, an inbound one there: of few of them, what everything takes is more.
        if tunnels >= 1000 {
            let each = Double(after - before) / Double(tunnels)
            print(Figure(name: "plane/memory", value: each, unit: "octets/pair").line)
        }
        // Written at once: who waits for it reads from a pipe, for which lines are otherwise kept back.
        _ = try Self.output.write(Array("ready\n".utf8))
        _ = readLine()
        // Every SA's first packet is dearer: not counted.
        _ = try flood(pair, until: MonotonicClock.now() + .milliseconds(500))
        let start = try pair.tally()
        let end = try flood(pair, until: MonotonicClock.now() + .seconds(Int64(seconds)))
        let (taken, delivered) = (end.taken - start.taken, end.delivered - start.delivered)
        guard taken > 0, delivered > 0 else { throw PlanePair.Broken(description: "no packet went through") }
        let sealing = Double(end.sealing - start.sealing) / Double(taken)
        let opening = Double(end.opening - start.opening) / Double(delivered)
        print(Figure(name: "plane/packets", value: Double(delivered), unit: "count").line)
        print(Figure(name: "plane/sealing", value: sealing, unit: "ns/packet").line)
        print(Figure(name: "plane/opening", value: opening, unit: "ns/packet").line)
        print(Figure(name: "plane/cost", value: sealing + opening, unit: "ns/packet").line)
    }

    private func flood(_ pair: PlanePair, until end: Instant) throws -> PlanePair.Tally {
        while MonotonicClock.now() < end { _ = pair.send(64, over: tunnels) }
        try drain(pair)
        return try pair.tally()
    }

    /// Waits without work.
    private func pause(_ interval: Interval) throws {
        var nothing: [PollEvent] = []
        let end = MonotonicClock.now() + interval
        let poller = try Poller(capacity: 1)
        while MonotonicClock.now() < end { try poller.wait(timeout: end - MonotonicClock.now(), into: &nothing) }
    }

    // MARK: Rekeying

    private func rekey(_ pair: PlanePair) throws {
        try pair.install(spi: 1, child: 0)
        try pair.settle()
        var rate = self.rate
        if rate == 0 {
            let start = try pair.tally()
            let end = try flood(pair, until: MonotonicClock.now() + .seconds(2))
            rate = (end.delivered - start.delivered) / 4
        }
        try drain(pair)
        let calm = try paced(pair, rate: rate) { _ in }
        try drain(pair)
        let busy = try paced(pair, rate: rate) { number in
            // Old SAs stay for late packets, half a second at least.
            try pair.install(spi: 1 + number, child: 0)
            if number > Self.overlap { try pair.remove(spi: 1 + number - Self.overlap, child: 0) }
        }
        for (name, result) in [("calm", calm), ("rekeyed", busy)] {
            print(Figure(name: "plane/rekeys/sent/\(name)", value: Double(result.sent), unit: "count").line)
            print(Figure(name: "plane/rekeys/lost/\(name)", value: Double(result.lost), unit: "count").line)
        }
        print(Figure(name: "plane/rekeys", value: Double(rekeys), unit: "count").line)
        print(Figure(name: "plane/rekeys/rate", value: Double(rate), unit: "packets/s").line)
    }

    /// Rekeyings after which an SA that was replaced is removed.
    private static let overlap = 100

    /// Waits until nothing arrives any more.
    private func drain(_ pair: PlanePair) throws {
        var last = -1
        while true {
            try pause(.milliseconds(200))
            let delivered = try pair.tally().delivered
            if delivered == last { return }
            last = delivered
        }
    }

    /// Sends at a steady rate while `body` is called `rekeys` times, 5 ms apart, with the numbers from 1.
    private func paced(
        _ pair: PlanePair, rate: Int, _ body: (Int) throws -> Void
    ) throws -> (sent: Int, lost: Int) {
        let start = try pair.tally()
        let begin = MonotonicClock.now()
        var sent = 0
        for number in 1...rekeys {
            let due = begin + .milliseconds(5 * Int64(number))
            try body(number)
            while MonotonicClock.now() < due {
                let wanted = Int((MonotonicClock.now() - begin).seconds * Double(rate)) - sent
                if wanted > 0 { sent += pair.send(wanted, over: 1) } else { try pause(.microseconds(200)) }
            }
        }
        try drain(pair)
        return (sent, sent - (try pair.tally().delivered - start.delivered))
    }
}
