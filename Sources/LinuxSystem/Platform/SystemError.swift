private import CLinux

/// An error number of the kernel's.
public struct ErrorNumber: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number, above zero.
    public let rawValue: Int32

    /// The number, above zero.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Operation not permitted.
    public static let notPermitted = ErrorNumber(rawValue: 1)
    /// No such file or directory.
    public static let noSuchEntry = ErrorNumber(rawValue: 2)
    /// No such process; for a route: no such route.
    public static let noSuchProcess = ErrorNumber(rawValue: 3)
    /// Input or output error.
    public static let inputOutput = ErrorNumber(rawValue: 5)
    /// Would have to wait.
    public static let wouldBlock = ErrorNumber(rawValue: 11)
    /// Not enough memory.
    public static let noMemory = ErrorNumber(rawValue: 12)
    /// Permission denied.
    public static let accessDenied = ErrorNumber(rawValue: 13)
    /// In use by somebody.
    public static let busy = ErrorNumber(rawValue: 16)
    /// Exists already.
    public static let exists = ErrorNumber(rawValue: 17)
    /// No such device.
    public static let noSuchDevice = ErrorNumber(rawValue: 19)
    /// It is a directory.
    public static let isDirectory = ErrorNumber(rawValue: 21)
    /// Invalid argument.
    public static let invalidArgument = ErrorNumber(rawValue: 22)
    /// The process has too many open files.
    public static let tooManyOpenFiles = ErrorNumber(rawValue: 24)
    /// The file is too large.
    public static let fileTooLarge = ErrorNumber(rawValue: 27)
    /// The name is too long.
    public static let nameTooLong = ErrorNumber(rawValue: 36)
    /// Symbolic links in a circle.
    public static let tooManyLinks = ErrorNumber(rawValue: 40)
    /// A message that is not what its kind promises.
    public static let badMessage = ErrorNumber(rawValue: 74)
    /// The message is too long.
    public static let messageTooLong = ErrorNumber(rawValue: 90)
    /// The operation is not supported.
    public static let notSupported = ErrorNumber(rawValue: 95)
    /// The address family is not supported.
    public static let familyNotSupported = ErrorNumber(rawValue: 97)
    /// The address is in use.
    public static let addressInUse = ErrorNumber(rawValue: 98)
    /// The address is not this machine's.
    public static let addressNotAvailable = ErrorNumber(rawValue: 99)
    /// The network is down.
    public static let networkDown = ErrorNumber(rawValue: 100)
    /// There is no route to the network.
    public static let networkUnreachable = ErrorNumber(rawValue: 101)
    /// The other side reset the connection.
    public static let connectionReset = ErrorNumber(rawValue: 104)
    /// No buffer space left; for a monitor: messages were lost.
    public static let noBufferSpace = ErrorNumber(rawValue: 105)
    /// The time is over.
    public static let timedOut = ErrorNumber(rawValue: 110)
    /// Nobody listens there.
    public static let connectionRefused = ErrorNumber(rawValue: 111)
    /// There is no route to the host.
    public static let hostUnreachable = ErrorNumber(rawValue: 113)

    /// `EPERM`, as manuals write it.
    public var name: String { unsafe Self.text(martlet_error_name(rawValue)) }

    /// The C library's words for it.
    public var description: String { unsafe Self.text(martlet_error_text(rawValue)) }

    /// Whether it reports what happened to an earlier datagram (an ICMP message came back), not what is wrong with the
    /// socket: the next call may well succeed.
    public var concernsOneDatagram: Bool {
        switch rawValue {
        // EPERM (a packet filter), EACCES, EINVAL, ENOPROTOOPT, EPROTO, EMSGSIZE, EOPNOTSUPP, EADDRNOTAVAIL, ENETDOWN,
        // ENETUNREACH, ENETRESET, ECONNRESET, ENOBUFS, ETIMEDOUT, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH
        case 1, 13, 22, 92, 71, 90, 95, 99, 100, 101, 102, 104, 105, 110, 111, 112, 113: true
        default: false
        }
    }

    private static func text(_ pointer: UnsafePointer<CChar>?) -> String {
        // The C library's own constant strings: valid for ever, ended by a zero.
        unsafe pointer.map { unsafe String(cString: $0) } ?? "unknown error"
    }
}

/// A system call that failed: which one, why, and what it was about.
///
/// It never carries secrets. Its description is a sentence for the person who runs the gateway, with what to do about
/// the common causes.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was tried, in the words of a manual: `bind`, `TUNSETIFF`, `RTM_NEWROUTE`.
    public let call: String
    /// Why it failed.
    public let errno: ErrorNumber
    /// What it was about: a path, a port, a device; may be empty.
    public let context: String

    /// An error of `call`.
    public init(call: String, errno: ErrorNumber, context: String = "") {
        self.call = call
        self.errno = errno
        self.context = context
    }

    /// `bind failed for 0.0.0.0[500]: Address already in use (EADDRINUSE). Another program …`
    public var description: String {
        let subject = context.isEmpty ? "" : " for \(context)"
        let advice = advice.map { ". \($0)" } ?? ""
        return "\(call) failed\(subject): \(errno) (\(errno.name))\(advice)"
    }

    /// What to do about it, as a sentence; nil when there is nothing useful to say.
    public var advice: String? {
        switch (errno, call) {
        case (.notPermitted, "rename"), (.accessDenied, "open"), (.accessDenied, "rename"):
            "Check the owner and the mode of the file and of its directory"
        case (.notPermitted, _), (.accessDenied, "bind"), (.accessDenied, "socket"):
            ProcessInformation.hasNetworkAdministration
                ? "The process has CAP_NET_ADMIN, so something else forbids it: a container, a security module or"
                    + " a packet filter"
                : "It needs root or CAP_NET_ADMIN (CAP_NET_BIND_SERVICE for ports below 1024, CAP_SYS_ADMIN for"
                    + " namespaces)"
        case (.noSuchEntry, "open /dev/net/tun"), (.noSuchDevice, "open /dev/net/tun"):
            "Load the kernel module with `modprobe tun`, or give the container the device /dev/net/tun"
        case (.accessDenied, "open /dev/net/tun"):
            "Allow this user to open /dev/net/tun"
        case (.busy, "TUNSETIFF"):
            "Another process has this device open, or it is not a TUN device; choose another name"
        case (.addressInUse, "bind"):
            "Another program uses it; another IKE daemon may be running (see `ss -lunp`)"
        case (.addressInUse, "listen"):
            "Another daemon listens on this socket"
        case (.addressNotAvailable, "bind"):
            "No interface has this address"
        case (.noSuchDevice, "SO_BINDTODEVICE"):
            "There is no such network interface"
        case (.tooManyOpenFiles, _):
            "Raise the limit of open files (`ulimit -n`, LimitNOFILE= in the unit)"
        case (.familyNotSupported, "socket"):
            "The kernel has this address family switched off"
        case (.connectionRefused, "connect"), (.noSuchEntry, "connect"):
            "Nobody listens there"
        case (.accessDenied, "connect"):
            "This user may not talk to the daemon; use its group or sudo"
        default: nil
        }
    }
}

/// Turns the shim's `-errno` into an error, and anything else into itself.
func checked<Value: SignedInteger & FixedWidthInteger>(
    _ result: Value, _ call: String, _ context: @autoclosure () -> String = ""
) throws(SystemError) -> Value {
    if result < 0 {
        throw SystemError(
            call: call, errno: ErrorNumber(rawValue: Int32(truncatingIfNeeded: -result)), context: context())
    }
    return result
}

/// Like ``checked(_:_:_:)``, but nil when the call would have to wait.
func checkedUnlessBlocked<Value: SignedInteger & FixedWidthInteger>(
    _ result: Value, _ call: String, _ context: @autoclosure () -> String = ""
) throws(SystemError) -> Value? {
    if result == -Value(ErrorNumber.wouldBlock.rawValue) { return nil }
    return try checked(result, call, context())
}

/// Refuses text that C would cut short at a zero octet.
func checkedText(_ text: String, _ call: String) throws(SystemError) {
    if text.utf8.contains(0) || text.isEmpty {
        throw SystemError(call: call, errno: .invalidArgument, context: text.isEmpty ? "an empty name" : text)
    }
}
