private import CLinux

/// One octet that says whether somebody may still go on from a state: the same for all who have a descriptor of it.
///
/// It owns the descriptor. A state itself is sealed and may lie with a service manager for long; a process that goes on
/// from one, or that goes on itself after all, spends the mark first, and then nobody ever does again. Whatever is not
/// said to be good is spent: a process that is killed in between leaves nothing that anybody could go on from.
public final class HandoverMark: Sendable {
    /// The open memory, to be handed over by its number.
    public let descriptor: Descriptor

    private static let good: UInt8 = 0x47
    private static let spent: UInt8 = 0

    /// A new one, which is spent until ``validate()``.
    public init() throws(SystemError) {
        // A string of our own, ended by a zero for the length of the call.
        descriptor = Descriptor(owning: try checked(unsafe martlet_memory_file("martlet-mark"), "memfd_create"))
        try write(Self.spent)
        _ = try checked(martlet_memory_fix_size(descriptor.number), "F_ADD_SEALS")
    }

    /// What another process has left.
    public init(adopting descriptor: Descriptor) { self.descriptor = descriptor }

    /// From now on somebody else may go on from the state, and this process never again.
    public func validate() throws(SystemError) { try write(Self.good) }

    /// Takes the right to go on from the state; false when somebody has taken it before, or it was never given.
    public func take() throws(SystemError) -> Bool {
        var octet: UInt8 = Self.spent
        // One local octet.
        let count = try checked(
            unsafe withUnsafeMutablePointer(to: &octet) { unsafe martlet_read_at(descriptor.number, $0, 1, 0) }, "read",
            "mark")
        try write(Self.spent)
        return count == 1 && octet == Self.good
    }

    private func write(_ octet: UInt8) throws(SystemError) {
        let octet = octet
        // One local octet.
        let count = try checked(
            unsafe withUnsafePointer(to: octet) { unsafe martlet_write_at(descriptor.number, $0, 1, 0) }, "write",
            "mark")
        guard count == 1 else { throw SystemError(call: "write", errno: .noMemory, context: "mark") }
    }
}
