import Clockwork
import Glibc
import Testing

@testable import LinuxSystem

@Suite struct UnixSocketTests {
    @Test("Bytes and the peer's identity come across")
    func conversation() throws {
        let path = Support.temporaryPath("talk.sock")
        let listener = try UnixListener(path, mode: 0o600)
        #expect(try RawFile.mode(path) == 0o600)
        #expect(try listener.accept() == nil)
        let client = try UnixStream.connect(path)
        #expect(try listener.descriptor.wait(milliseconds: 2000))
        let server = try #require(try listener.accept())
        #expect(try server.peerCredentials().process == ProcessInformation.identifier)
        #expect(try client.peerCredentials().user == ProcessInformation.effectiveUser)
        var buffer = [UInt8](repeating: 0, count: 16)
        #expect(try server.read(into: &buffer) == .wouldBlock)
        #expect(try client.write([1, 2, 3, 4], from: 1) == 3)
        #expect(try server.descriptor.wait(milliseconds: 2000))
        #expect(try server.read(into: &buffer) == .octets(3))
        #expect(Array(buffer[..<3]) == [2, 3, 4])
        try client.finishWriting()
        #expect(try server.read(into: &buffer) == .end)
        #expect(try server.write([9]) == 1)
        #expect(try client.read(into: &buffer) == .octets(1))
    }

    @Test("A writer without a reader fills the buffer, then gets an error, and lives")
    func fullAndBroken() throws {
        let (left, right) = try UnixStream.pair()
        let chunk = [UInt8](repeating: 7, count: 65536)
        var total = 0
        while total < 64 << 20 {
            let count = try left.write(chunk)
            if count == 0 { break }
            total += count
        }
        #expect(total > 0 && total < 64 << 20)
        var buffer = [UInt8](repeating: 0, count: 65536)
        var read = 0
        while case .octets(let count) = try right.read(into: &buffer) { read += count }
        #expect(read == total)
        do {
            let (alone, gone) = try UnixStream.pair()
            _ = consume gone
            let error = try #require(throws: SystemError.self) { try alone.write([1]) }
            #expect(error.errno.name == "EPIPE")
        }
    }

    @Test("A stale socket is replaced, a live one and a plain file are not")
    func staleSocket() throws {
        let path = Support.temporaryPath("stale.sock")
        defer { #expect(throws: Never.self) { try RawFile.remove(path) } }
        // A socket that is bound and gone, without its file being removed.
        let dead = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &name.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let bound = unsafe withUnsafePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(dead, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        close(dead)
        #expect(RawFile.exists(path))
        let refused = try #require(throws: SystemError.self) { try UnixStream.connect(path) }
        #expect(refused.description.contains("Nobody listens there"))
        do {
            let listener = try UnixListener(path)
            let error = try #require(throws: SystemError.self) { try UnixListener(path) }
            #expect(error.errno == .addressInUse)
            #expect(error.description.contains("Another daemon listens"))
            _ = consume listener
        }
        #expect(!RawFile.exists(path), "the listener takes its file along")
        try RawFile.write(path, [1])
        let error = try #require(throws: SystemError.self) { try UnixListener(path) }
        #expect(error.errno == .exists)
        #expect(try RawFile.read(path) == [1])
    }

    @Test("A path that is too long, empty or cut by a zero is refused")
    func badPaths() {
        #expect(throws: SystemError.self) { try UnixListener(String(repeating: "x", count: 200)) }
        #expect(throws: SystemError.self) { try UnixListener("") }
        #expect(throws: SystemError.self) { try UnixStream.connect("/tmp/a\0b") }
    }
}

@Suite struct RawFileTests {
    @Test("What is written is read, with its mode, and nothing is left beside it")
    func replace() throws {
        let path = Support.temporaryPath("file")
        defer { #expect(throws: Never.self) { try RawFile.remove(path) } }
        let contents = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
        try RawFile.write(path, contents, mode: 0o640)
        #expect(try RawFile.read(path) == contents)
        #expect(try RawFile.mode(path) == 0o640)
        try RawFile.write(path, [])
        #expect(try RawFile.read(path) == [])
        #expect(try RawFile.mode(path) == 0o600)
        #expect(throws: SystemError(call: "read", errno: .fileTooLarge, context: "\(path): more than 9 octets")) {
            try RawFile.write(path, [UInt8](repeating: 0, count: 10))
            _ = try RawFile.read(path, limit: 9)
        }
        #expect(try RawFile.remove(path))
        #expect(try !RawFile.remove(path))
    }

    private func link(_ path: String, to target: String) throws {
        // Strings ended by a zero for the length of the call.
        try #require(unsafe symlink(target, path) == 0)
    }

    @Test("A link stays, and the file at its end is replaced, there or not yet")
    func links() throws {
        let base = Support.temporaryPath("links")
        let (file, first, second) = (base + "-file", base + "-first", base + "-second")
        defer { for path in [file, first, second] { #expect(throws: Never.self) { try RawFile.remove(path) } } }
        try link(first, to: String(file.split(separator: "/").last ?? ""))
        try link(second, to: first)
        for contents: [UInt8] in [[1, 2, 3], [4]] {
            try RawFile.write(second, contents)
            #expect(try RawFile.read(file) == contents)
            for path in [first, second] { #expect(try WriteTarget(path) == .file(file)) }
        }
        try RawFile.remove(file)
        try link(file, to: second)
        #expect(try #require(throws: SystemError.self) { try RawFile.write(second, [5]) }.errno.name == "ELOOP")
    }

    @Test("Another user's link in a directory of everybody's is not followed", .needsRoot)
    func linksOfOthers() throws {
        let folder = Support.temporaryPath("shared")
        let (file, own, other) = (folder + "-file", folder + "/own", folder + "/other")
        try RawFile.makeDirectory(folder, mode: 0o700)
        // Strings ended by a zero for the length of each call, here and below.
        defer {
            for path in [file, own, other] { #expect(throws: Never.self) { try RawFile.remove(path) } }
            _ = unsafe rmdir(folder)
        }
        try RawFile.write(file, [1])
        for path in [own, other] { try link(path, to: file) }
        let changed = unsafe lchown(other, 4711, 4711)
        try #require(changed == 0)
        try RawFile.write(other, [2])
        let shared = unsafe chmod(folder, 0o1777)
        try #require(shared == 0)
        let refusal = try #require(throws: SystemError.self) { try RawFile.write(other, [3]) }
        #expect(refusal.errno == .accessDenied)
        #expect(try RawFile.read(file) == [2])
        try RawFile.write(own, [4])
        #expect(try RawFile.read(file) == [4])
    }

    @Test("A pipe is written to and stays one; a directory and a socket are refused and stay")
    func places() throws {
        let (path, other, socket) = (
            Support.temporaryPath("pipe"), Support.temporaryPath("pipe-link"), Support.temporaryPath("pipe-sock")
        )
        // A string ended by a zero for the length of the call.
        let made = unsafe mkfifo(path, 0o600)
        try #require(made == 0)
        defer { for name in [path, other] { #expect(throws: Never.self) { try RawFile.remove(name) } } }
        try link(other, to: path)
        // The same.
        let number = unsafe open(path, O_RDONLY | O_NONBLOCK)
        let reader = Descriptor(owning: number)
        for name in [path, other, "/dev/fd/\(number)"] { #expect(try WriteTarget(name) == .inPlace) }
        try RawFile.write(path, [1, 2])
        try RawFile.write(other, [3])
        var octets = [UInt8](repeating: 0, count: 8)
        #expect(try reader.read(into: &octets) == .octets(3))
        #expect(octets.prefix(3) == [1, 2, 3])
        #expect(try WriteTarget(path) == .inPlace)

        let listener = try UnixListener(socket, mode: 0o600)
        #expect(throws: SystemError.self) { try RawFile.write(socket, [1]) }
        #expect(RawFile.exists(socket))
        withExtendedLifetime(listener) {}
        #expect(try #require(throws: SystemError.self) { try RawFile.write("/tmp", [1]) }.errno == .isDirectory)
        #expect(try WriteTarget("/dev/null") == .inPlace)
    }

    @Test("Errors name the file")
    func errors() throws {
        let missing = try #require(throws: SystemError.self) { try RawFile.read("/nonexistent/martlet.conf") }
        #expect(missing.errno == .noSuchEntry)
        #expect(missing.description.contains("/nonexistent/martlet.conf"))
        let directory = try #require(throws: SystemError.self) { try RawFile.read("/tmp") }
        #expect(directory.errno.name == "EISDIR")
        #expect(directory.context == "/tmp")
        #expect(throws: SystemError.self) { try RawFile.write("/nonexistent/x", [1]) }
    }
}

@Suite struct ServiceNotificationTests {
    @Test("Each message is one datagram to the manager's socket", arguments: [false, true])
    func messages(abstract: Bool) throws {
        let path = abstract ? "@martlet-\(ProcessInformation.identifier)" : Support.temporaryPath("notify.sock")
        let manager = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        defer {
            close(manager)
            if !abstract { #expect(throws: Never.self) { try RawFile.remove(path) } }
        }
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        let bytes = abstract ? [0] + Array(path.utf8.dropFirst()) : Array(path.utf8) + [0]
        unsafe withUnsafeMutableBytes(of: &name.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let bound = unsafe withUnsafePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(manager, $0, socklen_t(2 + bytes.count))
            }
        }
        try #require(bound == 0)
        let notification = try ServiceNotification(socketPath: path)
        try notification.ready(status: "two\nlines")
        try notification.status("3 tunnels")
        try notification.stopping()
        func next() -> String {
            var buffer = [UInt8](repeating: 0, count: 256)
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(manager, $0.baseAddress, $0.count, 0) }
            return String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
        }
        #expect(next() == "READY=1\nSTATUS=two lines")
        #expect(next() == "STATUS=3 tunnels")
        #expect(next() == "STOPPING=1")
    }

    @Test("Without a service manager there is nobody to tell; one that is gone is an error with its path")
    func nobody() throws {
        if ProcessInformation.environment("NOTIFY_SOCKET") == nil {
            #expect(try ServiceNotification.fromEnvironment() == nil)
        }
        let error = try #require(throws: SystemError.self) {
            try ServiceNotification(socketPath: "/nonexistent/notify").stopping()
        }
        #expect(error.context == "/nonexistent/notify")
    }
}

@Suite struct ProcessInformationTests {
    @Test("Memory, time, descriptors and rights are plausible")
    func facts() throws {
        let resident = try #require(ProcessInformation.residentOctets)
        #expect(resident > 1 << 20 && resident < 1 << 36)
        #expect(ProcessInformation.processTime > .zero)
        #expect(ProcessInformation.threadTime > .zero)
        #expect(ProcessInformation.threadTime <= ProcessInformation.processTime)
        let held = try (0..<50).map { _ in try Wakeup() }
        #expect(try #require(ProcessInformation.openDescriptors) >= 53)
        withExtendedLifetime(held) {}
        #expect(ProcessInformation.effectiveUser == geteuid())
        #expect(ProcessInformation.processors >= 1)
        let status = try RawFile.readText("/proc/thread-self/status")
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("CapEff:") })
        let mask = try #require(UInt64(line.dropFirst(7).filter { !$0.isWhitespace }, radix: 16))
        #expect(ProcessInformation.hasNetworkAdministration == (mask & 1 << 12 != 0))
        #expect(ProcessInformation.hasSystemAdministration == (mask & 1 << 21 != 0))
        #expect(ProcessInformation.mayBindLowPorts == (mask & 1 << 10 != 0))
        #expect(ProcessInformation.hasRawSockets == (mask & 1 << 13 != 0))
    }

    @Test("An error is a sentence with the number's name and what to do")
    func errorText() {
        let error = SystemError(call: "open /dev/net/tun", errno: .noSuchEntry)
        #expect(
            error.description
                == "open /dev/net/tun failed: No such file or directory (ENOENT). Load the kernel module with"
                + " `modprobe tun`, or give the container the device /dev/net/tun")
        #expect(SystemError(call: "x", errno: ErrorNumber(rawValue: 9999)).description.contains("unknown"))
        let denied = SystemError(call: "TUNSETIFF", errno: .notPermitted, context: "device martlet0").description
        #expect(denied.contains("device martlet0") && denied.contains("CAP_NET_ADMIN"))
    }
}
