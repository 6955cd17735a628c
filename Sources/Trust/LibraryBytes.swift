import WireFormat

/// How libcrypto's answers become arrays.
///
/// It owns nothing.
enum LibraryBytes {
    /// What `write` puts out when it is told a buffer and its room: first asked for the length, then for the octets.
    /// nil when it puts out nothing, or more than `limit`.
    static func written(
        limit: Int = 1 << 20, _ write: (UnsafeMutablePointer<UInt8>?, Int) -> Int
    ) -> [UInt8]? {
        let length = write(nil, 0)
        guard length > 0, length <= limit else { return nil }
        var octets = [UInt8](repeating: 0, count: length)
        let again = unsafe octets.withUnsafeMutableBufferPointer { buffer in
            // Writes `count` octets or none.
            unsafe write(buffer.baseAddress, buffer.count)
        }
        return again == length ? octets : nil
    }

    /// What `write` puts into a buffer of `room` octets, whose length it changes to what it wrote.
    static func filled(room: Int, _ write: (UnsafeMutablePointer<UInt8>, inout Int) -> Int32) -> (Int32, [UInt8]) {
        var octets = [UInt8](repeating: 0, count: room)
        var length = room
        let result = unsafe octets.withUnsafeMutableBufferPointer { buffer -> Int32 in
            guard let base = buffer.baseAddress else { return 0 }
            // Writes no more than `length`, which is the buffer's.
            return unsafe write(base, &length)
        }
        return (result, Array(octets.prefix(max(0, min(length, room)))))
    }

    /// Text that ends in a zero octet.
    static func text(room: Int = 256, _ write: (UnsafeMutablePointer<CChar>, Int) -> Int32) -> (Int32, String) {
        var characters = [CChar](repeating: 0, count: room)
        let result = unsafe characters.withUnsafeMutableBufferPointer { buffer -> Int32 in
            guard let base = buffer.baseAddress else { return 0 }
            // Writes no more than the room that it is told of.
            return unsafe write(base, buffer.count)
        }
        return (result, String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}

extension [UInt8] {
    /// Lends the octets; an empty array has an address too.
    func lend<Result>(_ body: (UnsafePointer<UInt8>, Int) -> Result) -> Result {
        let octets = isEmpty ? [0] : self
        return unsafe octets.withUnsafeBufferPointer { buffer in
            var nothing: UInt8 = 0
            guard let base = buffer.baseAddress else { return unsafe body(&nothing, 0) }
            // Read during the call only.
            return unsafe body(base, count)
        }
    }
}

extension SecretBytes {
    /// Lends the octets; an empty secret has an address too.
    func lend<Result>(_ body: (UnsafePointer<UInt8>, Int) -> Result) -> Result {
        withSpan { span in
            unsafe span.withUnsafeBufferPointer { buffer in
                var nothing: UInt8 = 0
                guard let base = buffer.baseAddress else { return unsafe body(&nothing, 0) }
                // Read during the call only.
                return unsafe body(base, buffer.count)
            }
        }
    }
}
