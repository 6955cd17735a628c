private import CLinux

/// A network namespace: interfaces, routes and sockets of their own.
///
/// A named one is a file under /run/netns, as `ip netns` has it, so both see each other's. Entering changes the calling
/// thread only; what a thread opens stays in the namespace where it was opened. Needs CAP_SYS_ADMIN.
public struct NetworkNamespace: Sendable {
    /// The name, or the path when it was opened by path.
    public let name: String
    /// An open descriptor of it, for moving links into it.
    public let descriptor: Descriptor

    private static let directory = "/run/netns"

    private init(name: String, descriptor: Descriptor) {
        self.name = name
        self.descriptor = descriptor
    }

    /// Makes a namespace. Its loopback interface is down, as always.
    public static func create(_ name: String) throws(SystemError) -> NetworkNamespace {
        let path = try path(of: name)
        // Constant and checked strings, ended by a zero for the length of each call.
        _ = try checked(unsafe martlet_namespace_prepare_directory(directory), "mount", directory)
        // On a thread of its own, which ends there: unshare() moves the thread that calls it.
        do {
            try WorkerThread.run(name: "namespace") {
                _ = try checked(unsafe martlet_namespace_make(path), "create namespace", name)
            }
        } catch let error as SystemError {
            throw error
        } catch {
            throw SystemError(call: "create namespace", errno: .inputOutput, context: name)
        }
        return try open(name)
    }

    /// The namespace with this name, or the one at a path that starts with `/` (`/proc/1/ns/net`).
    public static func open(_ name: String) throws(SystemError) -> NetworkNamespace {
        let path = name.hasPrefix("/") ? name : try path(of: name)
        try checkedText(path, "open namespace")
        // A checked string, ended by a zero for the length of the call.
        let number = try checked(unsafe martlet_open_reading(path), "open namespace", name)
        return NetworkNamespace(name: name, descriptor: Descriptor(owning: number))
    }

    /// The namespace that the calling thread is in.
    public static func current() throws(SystemError) -> NetworkNamespace { try open("/proc/thread-self/ns/net") }

    /// Takes the name away. The namespace itself goes when nobody uses it. False when there was none.
    @discardableResult
    public static func delete(_ name: String) throws(SystemError) -> Bool {
        let path = try path(of: name)
        // A checked string, ended by a zero for the length of the call.
        let result = unsafe martlet_namespace_detach(path)
        if result == -ErrorNumber.noSuchEntry.rawValue { return false }
        _ = try checked(result, "delete namespace", name)
        return true
    }

    /// Moves the calling thread, and nobody else, into this namespace. Only for a thread that is ours from start to end:
    /// a pool's thread would carry the next task along.
    public func enter() throws(SystemError) {
        _ = try checked(martlet_namespace_enter(descriptor.number), "setns", name)
    }

    /// Runs `body` on a thread of its own inside this namespace and waits for its result. Sockets and devices opened
    /// there stay there, whoever uses them later.
    public func run<Result>(_ body: @escaping @Sendable () throws -> sending Result) throws -> sending Result {
        try WorkerThread.run(name: "namespace") {
            try enter()
            return try body()
        }
    }

    private static func path(of name: String) throws(SystemError) -> String {
        try checkedText(name, "namespace")
        guard !name.utf8.contains(UInt8(ascii: "/")), name != ".", name != ".." else {
            throw SystemError(call: "namespace", errno: .invalidArgument, context: "\(name) is no name")
        }
        return "\(directory)/\(name)"
    }
}
