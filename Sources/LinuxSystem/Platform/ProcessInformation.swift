private import CLinux
public import Clockwork

/// What the process knows of itself: for metrics, for the doctor and for error messages.
public enum ProcessInformation {
    /// Octets of memory in use (resident set); nil when /proc is not there.
    public static var residentOctets: Int? {
        let octets = martlet_resident_octets()
        return octets < 0 ? nil : Int(octets)
    }

    /// Processor time of all threads so far.
    public static var processTime: Interval { Interval(nanoseconds: martlet_clock_process()) }

    /// Processor time of the calling thread so far.
    public static var threadTime: Interval { Interval(nanoseconds: martlet_clock_thread()) }

    /// Open descriptors; nil when /proc is not there.
    public static var openDescriptors: Int? {
        let count = martlet_open_descriptors()
        return count < 0 ? nil : Int(count)
    }

    /// The user that the kernel sees.
    public static var effectiveUser: UInt32 { martlet_effective_user() }

    /// The process's number.
    public static var identifier: Int32 { martlet_process_identifier() }

    /// Sees to it that no core of this process is ever written, and that only root may look into its memory: there are
    /// keys in it.
    public static func keepMemoryPrivate() throws(SystemError) {
        _ = try checked(martlet_process_keep_private(), "setrlimit")
    }

    /// Processors that are running.
    public static var processors: Int { Int(martlet_processor_count()) }

    /// Whether the calling thread has CAP_NET_ADMIN: TUN devices, routes, rules, marks, large buffers.
    public static var hasNetworkAdministration: Bool { martlet_has_capability(12) == 1 }

    /// Whether the calling thread has CAP_NET_RAW: raw sockets.
    public static var hasRawSockets: Bool { martlet_has_capability(13) == 1 }

    /// Whether the calling thread has CAP_NET_BIND_SERVICE: ports below 1024, 500 among them.
    public static var mayBindLowPorts: Bool { martlet_has_capability(10) == 1 }

    /// Whether the calling thread has CAP_SYS_ADMIN: network namespaces.
    public static var hasSystemAdministration: Bool { martlet_has_capability(21) == 1 }

    /// A variable of the environment; nil when it is not set.
    public static func environment(_ name: String) -> String? {
        // The environment's own string, copied at once; nothing in this process changes the environment.
        unsafe martlet_environment(name).map { unsafe String(cString: $0) }
    }
}
