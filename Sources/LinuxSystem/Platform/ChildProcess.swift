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
        for argument in arguments + environment { try checkedText(argument, "posix_spawn") }
        guard input.count <= largestInput else {
            throw SystemError(call: "posix_spawn", errno: .messageTooLong, context: arguments.first ?? "")
        }
        let packed = arguments.reduce(into: [UInt8]()) { $0 += Array($1.utf8) + [0] }
        let settings = environment.reduce(into: [UInt8]()) { $0 += Array($1.utf8) + [0] }
        var status: Int32 = 0
        // All buffers outlive the call, which keeps no pointer to them.
        let result = unsafe packed.withUnsafeBytes { packed in
            unsafe settings.withUnsafeBytes { settings in
                unsafe input.withUnsafeBufferPointer { input in
                    unsafe martlet_run_program(
                        packed.baseAddress?.assumingMemoryBound(to: CChar.self), packed.count,
                        settings.baseAddress?.assumingMemoryBound(to: CChar.self), settings.count, input.baseAddress,
                        input.count, Int32(clamping: milliseconds), &status)
                }
            }
        }
        _ = try checked(result, "posix_spawn", arguments.first ?? "")
        return Int(status)
    }
}
