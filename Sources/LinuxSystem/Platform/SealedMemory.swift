private import CLinux
public import WireFormat

/// Memory with a descriptor and without a file: what a process leaves to its successor, and nobody changes any more.
///
/// It owns the descriptor. It never touches a disk; the kernel clears it when the last descriptor closes.
public final class SealedMemory: Sendable {
    /// The open memory, to be handed over by its number.
    public let descriptor: Descriptor

    /// The most octets that are read: far more than any state needs.
    public static let largest = 1 << 30

    /// New memory, which can still be written.
    public init(name: String) throws(SystemError) {
        try checkedText(name, "memfd_create")
        // A checked string, ended by a zero for the length of the call.
        descriptor = Descriptor(owning: try checked(unsafe martlet_memory_file(name), "memfd_create"))
    }

    /// What another process has left. Whoever could still change it is not believed.
    public init(adopting descriptor: Descriptor) throws(SystemError) {
        self.descriptor = descriptor
        guard try checked(martlet_memory_is_sealed(descriptor.number), "F_GET_SEALS") == 1 else {
            throw SystemError(call: "F_GET_SEALS", errno: .notPermitted, context: "memory that is not sealed")
        }
    }

    /// Writes octets behind those that are there.
    public func append(_ octets: Span<UInt8>) throws(SystemError) {
        var offset = 0
        while offset < octets.count {
            let rest = octets.extracting(offset..<octets.count)
            // Octets have no padding: a span of them is a raw span.
            guard let count = try descriptor.write(unsafe rest.bytes), count > 0 else {
                throw SystemError(call: "write", errno: .noMemory, context: "memory file")
            }
            offset += count
        }
    }

    /// Nobody writes it from now on.
    public func seal() throws(SystemError) { _ = try checked(martlet_memory_seal(descriptor.number), "F_ADD_SEALS") }

    /// All of it, in memory that zeroes itself.
    public func contents() throws(SystemError) -> SecretBytes {
        let count = try checked(martlet_file_octets(descriptor.number), "fstat")
        guard count <= Self.largest else {
            throw SystemError(call: "read", errno: .messageTooLong, context: "a state of \(count) octets")
        }
        var result: Int64 = 0
        let read = SecretBytes(count: Int(count)) { span in
            var done = 0
            while done < span.count {
                let place = done
                result = unsafe span.withUnsafeMutableBufferPointer { buffer in
                    // Within the buffer: `place` is below its count.
                    guard let base = buffer.baseAddress else { return 0 }
                    return unsafe martlet_read_at(
                        descriptor.number, base + place, UInt64(buffer.count - place), UInt64(place))
                }
                guard result > 0 else { return }
                done += Int(result)
            }
        }
        _ = try checked(result, "read", "memory file")
        return read
    }
}
