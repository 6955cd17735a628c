import CFetch
import NetworkTypes

/// One HTTP exchange, carried out on the thread that asks, by libcurl.
///
/// It owns how our limits become libcurl's. It never follows a POST elsewhere, never asks a proxy, and connects to no
/// address that was not looked at.
@safe
public final class HTTPExchange: @unchecked Sendable {
    // `@unchecked`: the flag is set and read atomically, and lives as long as this object.
    private let flag: UnsafeMutablePointer<Int32>?

    /// Redirects that are followed when something is got.
    static let redirects: Int32 = 3

    /// Exchanges that can be given up together.
    public init() { unsafe flag = martlet_flag_new() }

    deinit { if let flag = unsafe flag { unsafe martlet_flag_free(flag) } }

    /// Gives up all exchanges that are under way, and those to come.
    public func stop() { if let flag = unsafe flag { unsafe martlet_flag_set(flag) } }

    /// Fetches and waits: `timeout` in milliseconds is for all of it.
    public func fetch(_ request: FetchRequest, timeout: Int) -> FetchOutcome {
        guard let flag = unsafe flag else { return .failure(.failed("out of memory")) }
        guard !request.url.utf8.contains(0) else { return .failure(.failed("the address is malformed")) }
        var body: UnsafeMutablePointer<UInt8>?
        var (length, status) = (0, 0)
        var words = [CChar](repeating: 0, count: 256)
        let octets = request.body ?? []
        let result = unsafe request.url.withCString { url in
            unsafe request.bodyType.withCString { type in
                unsafe octets.withUnsafeBufferPointer { posted in
                    unsafe words.withUnsafeMutableBufferPointer { room -> Int32 in
                        guard let text = room.baseAddress else { return Int32(MARTLET_FETCH_FAILED) }
                        var empty: UInt8 = 0
                        return unsafe withUnsafePointer(to: &empty) { none in
                            // All that is lent lives until after the call; what is posted may be empty, but is there.
                            var order = unsafe martlet_fetch(
                                url: url, body: request.body == nil ? nil : posted.baseAddress ?? none,
                                body_length: octets.count, body_type: type, limit: request.limit,
                                timeout: Int32(clamping: timeout), redirects: Self.redirects,
                                allow: request.mayBePrivate ? { _, _, _ in 1 } : HTTPExchange.allow, context: nil,
                                stop: UnsafePointer(flag))
                            return unsafe martlet_fetch_run(&order, &body, &length, &status, text)
                        }
                    }
                }
            }
        }
        defer { unsafe martlet_fetch_free(body) }
        switch Int(result) {
        case Int(MARTLET_FETCH_DONE):
            guard let body = unsafe body else { return .success([]) }
            // The shim's own buffer of exactly this length.
            return .success(unsafe Array(UnsafeBufferPointer(start: body, count: length)))
        case Int(MARTLET_FETCH_TOO_LARGE): return .failure(.tooLarge(limit: request.limit))
        case Int(MARTLET_FETCH_FORBIDDEN): return .failure(.privateAddress)
        case Int(MARTLET_FETCH_TIMED_OUT): return .failure(.timedOut(milliseconds: timeout))
        case Int(MARTLET_FETCH_UNREACHABLE): return .failure(.unreachable(Self.text(words)))
        case Int(MARTLET_FETCH_STOPPED): return .failure(.stopped)
        case Int(MARTLET_FETCH_REFUSED): return .failure(.refused(status: status))
        default: return .failure(.failed(Self.text(words)))
        }
    }

    private static func text(_ words: [CChar]) -> String {
        String(decoding: words.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static let allow: martlet_fetch_allow = { _, octets, length in
        // The shim lends an address of this length.
        let address = IPAddress(bytes: unsafe Array(UnsafeBufferPointer(start: octets, count: length)))
        return address.map(AddressReach.isPublic) == true ? 1 : 0
    }
}
