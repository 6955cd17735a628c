import Clockwork
import Foundation
import LinuxSystem
import ViciServer

/// A real server on a real socket in a thread of its own, with a ``StubGateway`` behind it.
final class ServerThread: @unchecked Sendable {
    // `@unchecked`: after `init` all but the wake-up and the lock belongs to the thread.
    let path: String
    private let directory: URL
    private let wakeup: Wakeup
    private let lock = NSLock()
    private var work: [(StubGateway, ViciServer) -> Void] = []
    private var isStopping = false
    private let finished = DispatchSemaphore(value: 0)

    /// Starts the server; `prepare` runs in its thread first.
    init(_ prepare: @escaping @Sendable (StubGateway, ViciServer) -> Void = { _, _ in }) throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("vici-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        path = directory.appendingPathComponent("s").path
        wakeup = try Wakeup()
        let started = DispatchSemaphore(value: 0)
        let outcome = Outcome()
        Thread.detachNewThread { [self] in
            defer { finished.signal() }
            do {
                let gateway = StubGateway()
                let poller = try Poller()
                let server = ViciServer(handler: gateway, poller: poller, firstToken: 1 << 40)
                try poller.add(wakeup.descriptor, token: 0, .readable)
                try server.listen(at: .path(path), mode: 0o600)
                prepare(gateway, server)
                started.signal()
                try serve(gateway, server, poller)
                server.stop()
            } catch {
                outcome.error = error
                started.signal()
            }
        }
        started.wait()
        if let error = outcome.error { throw error }
    }

    private final class Outcome: @unchecked Sendable { var error: (any Error)? }

    private func serve(_ gateway: StubGateway, _ server: ViciServer, _ poller: Poller) throws {
        var events: [PollEvent] = []
        while true {
            let timeout = server.nextDeadline.map { $0 - gateway.now }
            try poller.wait(timeout: timeout, into: &events)
            if events.isEmpty, let due = server.nextDeadline { gateway.now = max(gateway.now, due) }
            server.expire()
            for event in events where server.owns(event.token) { server.handle(event) }
            wakeup.drain()
            for job in lock.withLock({
                defer { work = [] }; return work
            }) { job(gateway, server) }
            if lock.withLock({ isStopping }) { return }
        }
    }

    /// Lets the thread do something and waits until it has.
    func perform<Value: Sendable>(_ job: @escaping @Sendable (StubGateway, ViciServer) -> Value) -> Value? {
        let done = DispatchSemaphore(value: 0)
        let box = Box<Value>()
        lock.withLock {
            work.append { gateway, server in
                box.value = job(gateway, server)
                done.signal()
            }
        }
        wakeup.signal()
        done.wait()
        return box.value
    }

    private final class Box<Value>: @unchecked Sendable { var value: Value? }

    /// Stops the server and takes its directory away.
    func stop() {
        lock.withLock { isStopping = true }
        wakeup.signal()
        finished.wait()
        try? FileManager.default.removeItem(at: directory)
    }
}

/// Debian's swanctl, unmodified.
enum Swanctl {
    static let path = "/usr/sbin/swanctl"
    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: path) }
    /// On a machine that builds every change, a missing swanctl is a failure, not a reason to pass over the tests.
    static var isExpected: Bool { isInstalled || ProcessInfo.processInfo.environment["CI"] == "true" }

    /// Runs it and gives back its exit status and what it printed.
    static func run(_ arguments: [String], _ socket: String) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments + ["--uri", "unix://\(socket)"]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let text = String(decoding: output, as: UTF8.self)
        // The plugins it finds on this machine are its own affair.
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("plugin '") }
        return (process.terminationStatus, lines.joined(separator: "\n"))
    }
}
