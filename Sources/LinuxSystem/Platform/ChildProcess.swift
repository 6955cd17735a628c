private import CLinux

/// Another program, run to its end.
///
/// It owns nothing that outlives the call. It never uses a shell: arguments are passed as they are.
public enum ChildProcess {
    /// Octets of input that a program may be given.
    public static let largestInput = 32 << 10

    /// Runs `arguments` (the program's path first, 32 at most) with `input` to read, and waits for its end; returns its
    /// exit status, 128 and more for a signal. What takes longer than `milliseconds` is killed, which is
    /// ``ErrorNumber/timedOut``. `environment` (`KEY=value` each, 64 at most) comes beside a path to search and the
    /// locale, which every program gets.
    public static func run(
        _ arguments: [String], environment: [String] = [], input: [UInt8] = [], milliseconds: Int
    ) throws(SystemError) -> Int {
        try carryOut(arguments, environment, input, milliseconds, hearing: 0).status
    }

    /// The same, with the first 4 KB of what the program writes to its standard error.
    public static func hear(
        _ arguments: [String], milliseconds: Int
    ) throws(SystemError) -> (status: Int, said: String) {
        let (status, said) = try carryOut(arguments, [], [], milliseconds, hearing: 4096)
        return (status, String(decoding: said, as: UTF8.self))
    }

    private static func carryOut(
        _ arguments: [String], _ environment: [String], _ input: [UInt8], _ milliseconds: Int, hearing room: Int
    ) throws(SystemError) -> (status: Int, said: [UInt8]) {
        for argument in arguments + environment { try checkedText(argument, "posix_spawn") }
        guard input.count <= largestInput else {
            throw SystemError(call: "posix_spawn", errno: .messageTooLong, context: arguments.first ?? "")
        }
        let packed = arguments.reduce(into: [UInt8]()) { $0 += Array($1.utf8) + [0] }
        let settings = environment.reduce(into: [UInt8]()) { $0 += Array($1.utf8) + [0] }
        var status: Int32 = 0
        var said = [UInt8](repeating: 0, count: room)
        var heard = room
        // All buffers outlive the call, which keeps no pointer to them.
        let result = unsafe packed.withUnsafeBytes { packed in
            unsafe settings.withUnsafeBytes { settings in
                unsafe input.withUnsafeBufferPointer { input in
                    unsafe said.withUnsafeMutableBufferPointer { said in
                        unsafe martlet_run_program(
                            packed.baseAddress?.assumingMemoryBound(to: CChar.self), packed.count,
                            settings.baseAddress?.assumingMemoryBound(to: CChar.self), settings.count,
                            input.baseAddress, input.count, Int32(clamping: milliseconds), &status, said.baseAddress,
                            &heard)
                    }
                }
            }
        }
        _ = try checked(result, "posix_spawn", arguments.first ?? "")
        return (Int(status), Array(said.prefix(heard)))
    }
}
