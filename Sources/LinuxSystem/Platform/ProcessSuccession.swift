private import CLinux

/// One program in place of another in the same process: the number stays, descriptors that are kept stay open, and
/// everything else goes.
public enum ProcessSuccession {
    /// The running program's path, also when another file lies there meanwhile: an upgrade puts one in its place.
    public static func programPath() throws(SystemError) -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        // The array lives for the length of the call, which writes no more than its length.
        let length = unsafe buffer.withUnsafeMutableBufferPointer { buffer -> Int64 in
            guard let base = buffer.baseAddress else { return 0 }
            return unsafe martlet_own_path(base, UInt64(buffer.count))
        }
        let count = Int(try checked(length, "readlink", "/proc/self/exe"))
        let path = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let mark = " (deleted)"
        return path.hasSuffix(mark) ? String(path.dropLast(mark.count)) : path
    }

    /// Whether a descriptor stays open when the program is replaced, and in children.
    public static func keep(_ descriptor: Int32, _ on: Bool) throws(SystemError) {
        _ = try checked(martlet_keep_across_exec(descriptor, on), "F_SETFD", "descriptor \(descriptor)")
    }

    /// Whether the process's memory may be written to a file when it crashes. A program that is started anew may.
    public static func allowDumps(_ on: Bool) throws(SystemError) {
        _ = try checked(martlet_allow_dumps(on), "PR_SET_DUMPABLE")
    }

    /// Ends the process at once, cleanly: no thread of it does anything any more, and nothing is taken back.
    public static func leave() -> Never { martlet_leave(0) }

    /// All descriptors but the first three close when the program is replaced.
    public static func keepNothing() throws(SystemError) {
        _ = try checked(martlet_close_others_on_exec(3), "close_range")
    }

    /// Replaces the program. Variables of `environment` (`KEY=value`) come in place of those of the same name; those that
    /// `without` names are gone. Comes back only when it fails.
    public static func replace(
        with path: String, _ arguments: [String], environment: [String], without: [String] = []
    ) throws(SystemError) -> Never {
        for text in [path] + arguments + environment { try checkedText(text, "execve") }
        let set = Set(environment.map { Self.name($0) } + without.map { Substring($0) })
        let variables = inherited.filter { !set.contains(Self.name($0)) } + environment
        let owned = (arguments.map { Array($0.utf8CString) }, variables.map { Array($0.utf8CString) })
        // The strings are copied into memory that lives until the call, which replaces all of it or returns.
        let result = unsafe Self.withPointers(owned.0) { arguments in
            unsafe Self.withPointers(owned.1) { variables in
                unsafe martlet_replace_process(path, arguments, variables)
            }
        }
        _ = try checked(result, "execve", path)
        throw SystemError(call: "execve", errno: .invalidArgument, context: path)
    }

    private static func name(_ variable: String) -> Substring { variable.prefix { $0 != "=" } }

    private static var inherited: [String] {
        var found: [String] = []
        // The environment's own list, which ends with NULL; nothing in this process changes it.
        var entry = unsafe martlet_environment_list()
        while let list = unsafe entry, let text = unsafe list.pointee {
            found.append(unsafe String(cString: text))
            unsafe entry = unsafe list + 1
        }
        return found
    }

    /// Lends a list of C strings, ended by NULL.
    private static func withPointers(
        _ texts: [[CChar]], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Int32
    ) -> Int32 {
        let list = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: texts.count + 1)
        for (index, text) in texts.enumerated() {
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.count)
            for (place, octet) in text.enumerated() { unsafe copy[place] = octet }
            unsafe (list + index).initialize(to: UnsafePointer(copy))
        }
        unsafe (list + texts.count).initialize(to: nil)
        defer {
            for index in texts.indices { unsafe list[index]?.deallocate() }
            unsafe list.deallocate()
        }
        return unsafe body(UnsafePointer(list))
    }
}
