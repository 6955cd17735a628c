import CServe
public import NetworkTypes

/// One page over HTTP, on loopback: libmicrohttpd reads the requests, and whoever owns this makes the page.
///
/// It owns the listener. It never answers anything but GET of one path, and never listens where other machines reach it.
@safe
public final class PageServer: @unchecked Sendable {
    // `@unchecked`: the shim has a lock of its own, and the pointer never changes.
    private let server: OpaquePointer

    /// Why no page can be served: one clause.
    public struct Failure: Error, CustomStringConvertible {
        /// One clause.
        public let description: String
    }

    /// Listens at a loopback address for GET of `path`; port 0 takes any that is free.
    public init(_ endpoint: Endpoint, path: String) throws(Failure) {
        let address = endpoint.address
        guard Self.isLoopback(address) else {
            throw Failure(description: "\(address) is no loopback address, and others could read the page")
        }
        let octets = address.bytes
        let made = unsafe octets.withUnsafeBufferPointer { bytes in
            unsafe path.withCString { name in
                unsafe martlet_serve_new(bytes.baseAddress, bytes.count, endpoint.port, name)
            }
        }
        // The address and the port are checked: what is left is a port that somebody else has.
        guard let made = unsafe made else {
            throw Failure(description: "nobody can listen at \(endpoint): the port is taken, or not for us")
        }
        unsafe server = made
    }

    deinit { unsafe martlet_serve_free(server) }

    /// Where it listens.
    public var port: UInt16 { unsafe martlet_serve_port(server) }

    /// Answers requests with what `page` makes, one after the other, until ``stop()``; without a page the answer says that
    /// there is none now (503).
    public func serve(_ page: () -> [UInt8]?) {
        while unsafe martlet_serve_wait(server) != 0 {
            guard let octets = page() else {
                unsafe martlet_serve_answer(server, nil, 0)
                continue
            }
            unsafe octets.withUnsafeBufferPointer { bytes in
                unsafe martlet_serve_answer(server, bytes.baseAddress, bytes.count)
            }
        }
    }

    /// Lets ``serve(_:)`` return.
    public func stop() { unsafe martlet_serve_stop(server) }

    private static func isLoopback(_ address: IPAddress) -> Bool {
        switch address.family {
        case .v4: address.bytes.first == 127
        case .v6: address.bytes == [UInt8](repeating: 0, count: 15) + [1]
        }
    }
}
