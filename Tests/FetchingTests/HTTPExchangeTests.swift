import LinuxSystem
import Testing

@testable import Fetching

/// What libcurl is allowed.
@Suite struct HTTPExchangeTests {
    @Test("Attack 19: a private address is refused before anything is sent, by name or number")
    func privateAddresses() {
        let exchange = HTTPExchange()
        for url in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost:1/"] {
            let outcome = exchange.fetch(FetchRequest(url, limit: 10, mayBePrivate: false), timeout: 2000)
            #expect(outcome == .failure(.privateAddress))
        }
        let allowed = exchange.fetch(FetchRequest("http://127.0.0.1:1/", limit: 10, mayBePrivate: true), timeout: 2000)
        guard case .failure(.unreachable) = allowed else {
            Issue.record("port 1 of this machine answers \(allowed)")
            return
        }
    }

    @Test(
        "Attack 19: nothing but HTTP is spoken",
        arguments: ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"])
    func otherSchemes(_ url: String) {
        let outcome = HTTPExchange().fetch(FetchRequest(url, limit: 10, mayBePrivate: true), timeout: 2000)
        guard case .failure(.failed) = outcome else {
            Issue.record("\(url) is fetched: \(outcome)")
            return
        }
    }

    @Test("What is given up ends at once")
    func stopped() {
        let exchange = HTTPExchange()
        exchange.stop()
        let outcome = exchange.fetch(FetchRequest("http://192.0.2.1/", limit: 10, mayBePrivate: true), timeout: 5000)
        #expect(outcome != .success([]))
    }
}
