import Fetching
import Foundation
import NetworkTypes
import Testing

@testable import Serving

/// One page over HTTP on loopback.
@Suite struct PageServerTests {
    private func loopback(_ port: UInt16) -> Endpoint { Endpoint(IPAddress(v4: 0x7f00_0001), port) }

    private func fetch(_ server: PageServer, _ path: String) -> FetchOutcome {
        HTTPExchange().fetch(
            FetchRequest("http://127.0.0.1:\(server.port)\(path)", limit: 1 << 20, mayBePrivate: true), timeout: 15_000)
    }

    @Test func thePageIsMadeForEachRequest() throws {
        let server = try PageServer(loopback(0), path: "/metrics")
        let ended = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            var count: UInt8 = 0
            server.serve {
                count += 1
                return count == 3 ? nil : Array("page ".utf8) + [UInt8(ascii: "0") + count]
            }
            ended.signal()
        }
        #expect(fetch(server, "/metrics") == .success(Array("page 1".utf8)))
        #expect(fetch(server, "/metrics") == .success(Array("page 2".utf8)))
        // No page just now, and no such page: neither is a success.
        for path in ["/metrics", "/", "/metrics/../etc/passwd"] {
            guard case .failure = fetch(server, path) else {
                Issue.record("\(path) was answered")
                continue
            }
        }
        server.stop()
        #expect(ended.wait(timeout: .now() + 10) == .success)
    }

    @Test func otherMachinesAreNotServed() {
        for address in [IPAddress(v4: 0), IPAddress(v4: 0xc000_0201)] {
            let error = #expect(throws: PageServer.Failure.self) {
                try PageServer(Endpoint(address, 0), path: "/metrics")
            }
            // Refused by us, and not by a kernel that has no such address.
            #expect(error?.description.contains("no loopback address") == true)
        }
    }

    @Test func aTakenPortIsSaidSo() throws {
        let first = try PageServer(loopback(0), path: "/metrics")
        let error = #expect(throws: PageServer.Failure.self) { try PageServer(loopback(first.port), path: "/metrics") }
        #expect(error?.description.contains("the port is taken") == true)
    }
}
