private import CLinux

/// A thread that runs one closure to its end.
///
/// All signals are blocked in it: they belong to the thread with the ``SignalWatcher``. It cannot be stopped from
/// outside: give it a ``Wakeup`` and a reason. Swift's concurrency knows nothing of it.
public final class WorkerThread: @unchecked Sendable {
    // `@unchecked`: `joined` is written by the one thread that calls `join`, as its documentation demands.
    private let handle: UInt64
    private var joined = false

    /// Starts a thread. Of `name`, the first 15 octets show in `top -H`. `processor`, when given, is the only one that it
    /// runs on.
    public init(name: String, processor: Int? = nil, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        try checkedText(name, "pthread_create")
        // The box is released by the thread, or here when the thread never came to be.
        let box = unsafe Unmanaged.passRetained(Closure(body))
        var handle: UInt64 = 0
        let result = unsafe martlet_thread_start(
            &handle,
            { context in
                guard let context = unsafe context else { return }
                unsafe Unmanaged<Closure>.fromOpaque(context).takeRetainedValue().body()
            }, box.toOpaque(), name, Int32(clamping: processor ?? -1))
        if result < 0 { unsafe box.release() }
        _ = try checked(result, "pthread_create", processor.map { "\(name) on processor \($0)" } ?? name)
        self.handle = handle
    }

    deinit { if !joined { _ = martlet_thread_detach(handle) } }

    /// Waits for the end. To be called by one thread. Without it the closure runs on when this object goes.
    public func join() {
        guard !joined else { return }
        joined = true
        _ = martlet_thread_join(handle)
    }

    /// Runs `body` on a thread of its own and waits for its result.
    public static func run<Result>(
        name: String, _ body: @escaping @Sendable () throws -> sending Result
    ) throws -> sending Result {
        let outcome = Outcome<Result>()
        let thread = try WorkerThread(name: name) { outcome.value = Swift.Result(catching: body) }
        thread.join()
        guard let value = outcome.value else {
            throw SystemError(call: "pthread_join", errno: .noSuchProcess, context: name)
        }
        return try value.get()
    }

    private final class Closure {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Carries a result out of a thread. `@unchecked`: written before the thread's end, read after it.
    private final class Outcome<Value>: @unchecked Sendable {
        var value: Swift.Result<Value, any Error>?
    }
}
