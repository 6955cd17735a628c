import Foundation
import Glibc
import LinuxSystem
import Testing

/// TCP between two namespaces: what went in must come out.
enum Stream {
    /// Sends `total` octets from `source` to `destination` by a connection of the kernel's, in pieces of many sizes, and
    /// returns how many came out as they went in.
    static func carry(
        _ total: Int, from source: Sites.Site, to destination: Sites.Site, v6: Bool, port: UInt16
    ) throws -> Int {
        let host = v6 ? destination.inner.v6 : destination.inner.v4
        let listener = try destination.namespace.run { try open(host, port, listens: true) }
        defer { close(listener) }
        let sender = try source.namespace.run { try open(host, port, listens: false) }
        let thread = Thread {
            var sent = 0
            var round = 1
            while sent < total {
                round = round &* 1_103_515_245 &+ 12_345
                let size = min(total - sent, 1 + (round >> 8 & 0x1ffff))
                let piece = (0..<size).map { octet(sent + $0) }
                var done = 0
                while done < size {
                    let count = unsafe piece.withUnsafeBytes { bytes in
                        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
                        return unsafe send(sender, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
                    }
                    if count <= 0 { break }
                    done += count
                }
                if done < size { break }
                sent += size
            }
            close(sender)
        }
        thread.start()
        let receiver = accept(listener, nil, nil)
        guard receiver >= 0 else { return 0 }
        defer { close(receiver) }
        var patience = timeval(tv_sec: 20, tv_usec: 0)
        unsafe setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        var received = 0
        while true {
            let count = unsafe recv(receiver, &buffer, buffer.count, 0)
            guard count > 0 else { return received }
            for index in 0..<count where buffer[index] != octet(received + index) { return received + index }
            received += count
        }
    }

    /// What stands at a place of the stream: no short period, so that nothing is exchanged unnoticed.
    private static func octet(_ place: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: (place &* 0x9e37_79b1) >> 13 ^ place >> 7)
    }

    private static func open(_ host: String, _ port: UInt16, listens: Bool) throws -> Int32 {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_NUMERICHOST
        var found: UnsafeMutablePointer<addrinfo>?
        let result = unsafe getaddrinfo(host, "\(port)", &hints, &found)
        #expect(result == 0)
        defer { unsafe freeaddrinfo(found) }
        guard let address = unsafe found?.pointee else { return -1 }
        let number = unsafe socket(address.ai_family, address.ai_socktype, 0)
        var one: Int32 = 1
        unsafe setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        let isReady =
            listens
            ? unsafe bind(number, address.ai_addr, address.ai_addrlen) == 0 && listen(number, 1) == 0
            : unsafe connect(number, address.ai_addr, address.ai_addrlen) == 0
        #expect(isReady)
        return number
    }

    /// Packets that a device of a namespace counted, each way: a train counts once.
    static func packets(_ device: String, in namespace: String) throws -> (received: UInt64, sent: UInt64) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/sbin/ip")
        process.arguments = ["-n", namespace, "-json", "-stats", "link", "show", device]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        struct Link: Decodable {
            struct Side: Decodable { var packets: UInt64 }
            struct Both: Decodable {
                var rx: Side
                var tx: Side
            }
            var stats64: Both
        }
        let link = try #require(try JSONDecoder().decode([Link].self, from: output).first)
        return (link.stats64.rx.packets, link.stats64.tx.packets)
    }
}
