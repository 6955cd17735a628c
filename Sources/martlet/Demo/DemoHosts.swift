import Clockwork
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import Synchronization
import UserspacePlane

/// The two hosts of the demonstration: one pings and sends, the other answers and receives.
///
/// They own a thread each and talk through their gateways only. The transfer is reliable (go-back-N), so that the digest
/// at the far end must be that of what was sent, whatever a loaded machine drops on the way.
final class DemoHosts: Sendable {
    /// How far the transfer is, or how it ended.
    struct Progress: Sendable {
        var pings: [Interval] = []
        var bytesAcknowledged = 0
        var bytesTotal: Int
        var sentAgain = 0
        var elapsed = Interval.zero
        var sentDigest: [UInt8] = []
        var receivedDigest: [UInt8] = []
        var failure: String?
        var isDone = false
    }

    private static let pieceSize = 1280
    private static let window: UInt32 = 512
    private static let patience = Interval.milliseconds(200)

    private let near: PacketQueue
    private let far: PacketQueue
    private let nearAddress: IPAddress
    private let farAddress: IPAddress
    private let progress: Mutex<Progress>
    private let isStopping = Atomic<Bool>(false)
    private let done: Wakeup

    /// Hosts that send `bytes` octets from `near` to `far`; `done` is signalled at the end.
    init(
        near: PacketQueue, _ nearAddress: IPAddress, far: PacketQueue, _ farAddress: IPAddress, bytes: Int, done: Wakeup
    ) {
        self.near = near
        self.far = far
        self.nearAddress = nearAddress
        self.farAddress = farAddress
        self.done = done
        progress = Mutex(Progress(bytesTotal: bytes))
    }

    /// A copy of how far it is.
    var state: Progress { progress.withLock { $0 } }

    /// Makes both threads end soon.
    func stop() { isStopping.store(true, ordering: .relaxed) }

    /// The sending host: three pings, then the transfer.
    func runNear() {
        var problem: String?
        do {
            try ping()
            try transfer()
        } catch {
            problem = "\(error)"
        }
        let failure = problem
        progress.withLock { state in
            state.failure = failure
            state.isDone = true
        }
        done.signal()
    }

    /// The receiving host: answers pings, takes pieces in order, acknowledges.
    func runFar() {
        var next: UInt32 = 0
        var digest = [UInt8](repeating: 0, count: 32)
        while !isStopping.load(ordering: .relaxed) {
            guard let bytes = far.receive() else {
                _ = try? far.hostWakeup.descriptor.wait(milliseconds: 50)
                continue
            }
            guard let packet = DemoPacket(bytes) else { continue }
            switch packet.content {
            case .echo(isReply: false, let sequence): answer(.echo(isReply: true, sequence))
            case .piece(let number, let data):
                if number == next {
                    next += 1
                    digest = Digest.sha256([digest, data])
                    let current = digest
                    progress.withLock { $0.receivedDigest = current }
                }
                if number % 32 == 31 || number &+ 1 != next { answer(.acknowledgement(next)) }
                if isLast(number), next == number &+ 1 { answer(.acknowledgement(next)) }
            default: continue
            }
        }
    }

    private struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    private var pieces: UInt32 { UInt32((state.bytesTotal + Self.pieceSize - 1) / Self.pieceSize) }

    private func isLast(_ number: UInt32) -> Bool { number &+ 1 == pieces }

    private func answer(_ content: DemoPacket.Content) {
        _ = far.send(DemoPacket(source: farAddress, destination: nearAddress, content: content).bytes)
    }

    private func ping() throws {
        for sequence in UInt16(1)...3 {
            let start = MonotonicClock.now()
            guard send(.echo(isReply: false, sequence)) else {
                throw Problem(description: "the gateway takes no packet")
            }
            while true {
                guard MonotonicClock.now() - start < .seconds(5), !isStopping.load(ordering: .relaxed) else {
                    throw Problem(description: "ping \(sequence) was not answered in 5 s")
                }
                guard let bytes = near.receive() else {
                    _ = try near.hostWakeup.descriptor.wait(milliseconds: 50)
                    continue
                }
                if DemoPacket(bytes)?.content == .echo(isReply: true, sequence) { break }
            }
            let time = MonotonicClock.now() - start
            progress.withLock { $0.pings.append(time) }
        }
    }

    private func transfer() throws {
        let total = state.bytesTotal
        let count = pieces
        var entropy = SeededEntropy(seed: UInt64(bitPattern: MonotonicClock.now().nanoseconds))
        var unacknowledged: [UInt32: [UInt8]] = [:]
        var digest = [UInt8](repeating: 0, count: 32)
        var (base, next, made): (UInt32, UInt32, UInt32) = (0, 0, 0)
        let start = MonotonicClock.now()
        var lastAcknowledged = start
        var lastProgress = start
        while base < count {
            if isStopping.load(ordering: .relaxed) { throw Problem(description: "stopped") }
            var moved = false
            while next < count, next &- base < Self.window {
                let piece: [UInt8]
                if next == made {
                    piece = entropy.bytes(min(Self.pieceSize, total - Int(next) * Self.pieceSize))
                    digest = Digest.sha256([digest, piece])
                    unacknowledged[next] = piece
                    made += 1
                } else {
                    piece = unacknowledged[next] ?? []
                }
                guard send(.piece(next, piece)) else { break }
                next += 1
                moved = true
            }
            while let bytes = near.receive() {
                guard case .acknowledgement(let number)? = DemoPacket(bytes)?.content, number > base, number <= made
                else {
                    continue
                }
                for old in base..<number { unacknowledged[old] = nil }
                base = number
                if next < base { next = base }
                lastProgress = MonotonicClock.now()
                lastAcknowledged = lastProgress
                moved = true
                let acknowledged = min(total, Int(base) * Self.pieceSize)
                progress.withLock { $0.bytesAcknowledged = acknowledged }
            }
            if moved { continue }
            let now = MonotonicClock.now()
            if now - lastAcknowledged > .seconds(20) { throw Problem(description: "nothing was acknowledged for 20 s") }
            if now - lastProgress > Self.patience, next > base {
                let again = Int(next - base)
                next = base
                progress.withLock { $0.sentAgain += again }
                lastProgress = now
            } else {
                _ = try near.hostWakeup.descriptor.wait(milliseconds: 5)
            }
        }
        let final = digest
        let elapsed = MonotonicClock.now() - start
        progress.withLock { state in
            state.sentDigest = final
            state.elapsed = elapsed
        }
    }

    private func send(_ content: DemoPacket.Content) -> Bool {
        near.send(DemoPacket(source: nearAddress, destination: farAddress, content: content).bytes)
    }
}
