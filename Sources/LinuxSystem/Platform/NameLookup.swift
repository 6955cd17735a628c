private import CLinux
public import NetworkTypes

/// Host names, as the system's resolver knows them.
///
/// It owns nothing. A lookup may take as long as the resolver likes: it is for a thread of its own.
public enum NameLookup {
    /// Why a name has no addresses: the resolver's words.
    public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// The words.
        public let description: String
    }

    /// The addresses of a name, in the resolver's order; at least one, at most 16.
    public static func addresses(of name: String) throws(Failure) -> [IPAddress] {
        guard !name.utf8.contains(0) else { throw Failure(description: "no name has a zero in it") }
        let capacity = 16
        var octets = [UInt8](repeating: 0, count: 16 * capacity)
        // The buffer outlives the call, which keeps no pointer to it.
        let count = unsafe octets.withUnsafeMutableBufferPointer { buffer in
            unsafe martlet_lookup_name(name, buffer.baseAddress, Int32(capacity))
        }
        guard count >= 0 else {
            // A constant text of the C library.
            throw Failure(description: unsafe String(cString: martlet_lookup_error(count)))
        }
        var found: [IPAddress] = []
        for index in 0..<Int(count) {
            let part = octets[16 * index..<16 * index + 16]
            let isV4 = part.prefix(10).allSatisfy { $0 == 0 } && part.dropFirst(10).prefix(2).allSatisfy { $0 == 0xff }
            guard let address = IPAddress(bytes: isV4 ? part.suffix(4) : part), !found.contains(address) else {
                continue
            }
            found.append(address)
        }
        guard !found.isEmpty else { throw Failure(description: "the name has no addresses") }
        return found
    }
}
