private import CLinux

/// Who is at the other end of a Unix socket, as the kernel saw it when they connected.
public struct PeerCredentials: Hashable, Sendable {
    /// The process's number.
    public let process: Int32
    /// The effective user.
    public let user: UInt32
    /// The effective group.
    public let group: UInt32
}

/// One end of a Unix stream connection, or of one by TCP on loopback. Nothing here waits.
public final class UnixStream: Sendable {
    /// The open socket, for a poller.
    public let descriptor: Descriptor

    init(descriptor: Descriptor) { self.descriptor = descriptor }

    /// Connects to where a control protocol is spoken.
    public static func connect(_ address: ControlAddress) throws(SystemError) -> UnixStream {
        switch address {
        case .path(let path): try connect(path)
        case .loopback(let endpoint): try LoopbackStream.connect(endpoint)
        }
    }

    /// Connects to the socket at `path` (`@name` for the abstract name space). A Unix connection is there at once or
    /// not at all; EAGAIN means that the listener's queue is full.
    public static func connect(_ path: String) throws(SystemError) -> UnixStream {
        try checkedText(path, "connect")
        let descriptor = Descriptor(owning: try checked(martlet_unix_socket(false), "socket", "Unix stream"))
        // A checked string, ended by a zero for the length of the call.
        _ = try checked(unsafe martlet_unix_connect(descriptor.number, path), "connect", path)
        return UnixStream(descriptor: descriptor)
    }

    /// Two connected ends.
    public static func pair() throws(SystemError) -> (UnixStream, UnixStream) {
        var first: Int32 = 0
        var second: Int32 = 0
        // Two local variables that the shim fills.
        _ = try checked(unsafe martlet_unix_pair(&first, &second), "socketpair")
        return (
            UnixStream(descriptor: Descriptor(owning: first)), UnixStream(descriptor: Descriptor(owning: second))
        )
    }

    /// Reads what is there, over the start of `buffer`. A connection that was reset has ended.
    public func read(into buffer: inout [UInt8]) throws(SystemError) -> ReadOutcome {
        do { return try descriptor.read(into: &buffer) } catch {
            if error.errno == .connectionReset { return .end }
            throw error
        }
    }

    /// Writes as much of `bytes` as goes without waiting, from `offset` on; 0 when nothing does. EPIPE: the other side
    /// is gone.
    public func write(_ bytes: [UInt8], from offset: Int = 0) throws(SystemError) -> Int {
        guard offset >= 0, offset < bytes.count else { return 0 }
        // The bounds were just compared; the array lives for the length of the call.
        let result = unsafe bytes.withUnsafeBytes { bytes in
            unsafe martlet_socket_send(
                descriptor.number, bytes.baseAddress.map { unsafe $0 + offset }, bytes.count - offset)
        }
        return try checkedUnlessBlocked(result, "send").map { Int($0) } ?? 0
    }

    /// Says that no more will be written.
    public func finishWriting() throws(SystemError) {
        _ = try checked(martlet_shutdown_writing(descriptor.number), "shutdown")
    }

    /// Who is at the other end.
    public func peerCredentials() throws(SystemError) -> PeerCredentials {
        var raw = martlet_credentials()
        // A local variable that the shim fills.
        _ = try checked(unsafe martlet_unix_peer(descriptor.number, &raw), "SO_PEERCRED")
        return PeerCredentials(process: raw.process, user: raw.user, group: raw.group)
    }
}

/// A listening Unix stream socket, or TCP on loopback. Its file goes with it, unless somebody else has put another there.
public final class UnixListener: Sendable {
    /// Becomes readable when somebody connects.
    public let descriptor: Descriptor
    /// Where it listens.
    public let path: String
    private let device: UInt64
    private let inode: UInt64

    /// Listens at `path`; `mode` says who may connect (whoever may write). A socket file that nobody listens on is
    /// replaced; EADDRINUSE when somebody does, EEXIST when the file is no socket.
    public init(_ path: String, mode: UInt32 = 0o770, backlog: Int32 = 64) throws(SystemError) {
        try checkedText(path, "listen")
        self.path = path
        let descriptor = Descriptor(owning: try checked(martlet_unix_socket(false), "socket", "Unix stream"))
        // The socket's own mode is the file's from its first moment on, less the umask.
        _ = try checked(martlet_change_mode_of(descriptor.number, mode), "fchmod", path)
        // Here and below: a checked string, ended by a zero for the length of each call.
        var result = unsafe martlet_unix_bind(descriptor.number, path)
        if result == -ErrorNumber.addressInUse.rawValue {
            try Self.removeStaleSocket(path)
            result = unsafe martlet_unix_bind(descriptor.number, path)
        }
        _ = try checked(result, "listen", path)
        var identity = martlet_file_identity()
        if !path.hasPrefix("@") {
            _ = try checked(unsafe martlet_change_mode(path, mode), "chmod", path)
            _ = try checked(unsafe martlet_identify(path, &identity), "lstat", path)
        }
        device = identity.device
        inode = identity.inode
        _ = try checked(martlet_listen(descriptor.number, backlog), "listen", path)
        self.descriptor = descriptor
    }

    /// Listens where a control protocol is to be spoken; `mode` is for a socket with a file.
    public convenience init(_ address: ControlAddress, mode: UInt32 = 0o770, backlog: Int32 = 64) throws(SystemError) {
        switch address {
        case .path(let path): try self.init(path, mode: mode, backlog: backlog)
        case .loopback(let endpoint):
            self.init(listening: try LoopbackStream.listen(endpoint, backlog: backlog), "\(address)")
        }
    }

    /// The same, where another process has made the socket and handed it over by its number.
    public convenience init(adopting descriptor: Descriptor, address: ControlAddress) throws(SystemError) {
        switch address {
        case .path(let path): try self.init(adopting: descriptor, path: path)
        case .loopback: self.init(listening: descriptor, "\(address)")
        }
    }

    /// One without a file.
    private init(listening descriptor: Descriptor, _ path: String) {
        self.descriptor = descriptor
        self.path = path
        device = 0
        inode = 0
    }

    /// A socket that another process has made to listen at `path`, and handed over by its number.
    public init(adopting descriptor: Descriptor, path: String) throws(SystemError) {
        try checkedText(path, "listen")
        self.path = path
        self.descriptor = descriptor
        var identity = martlet_file_identity()
        // A checked string, and a local variable that the shim fills.
        if !path.hasPrefix("@") { _ = try checked(unsafe martlet_identify(path, &identity), "lstat", path) }
        device = identity.device
        inode = identity.inode
    }

    deinit {
        var identity = martlet_file_identity()
        // A checked string, and a local variable that the shim fills.
        if inode != 0, unsafe martlet_identify(path, &identity) == 0, identity.device == device, identity.inode == inode
        {
            _ = unsafe martlet_unlink(path)
        }
    }

    /// The next connection; nil when nobody waits.
    public func accept() throws(SystemError) -> UnixStream? {
        // ECONNABORTED: somebody came and went.
        let result = martlet_accept(descriptor.number)
        if result == -103 { return nil }
        return try checkedUnlessBlocked(result, "accept4", path).map { UnixStream(descriptor: Descriptor(owning: $0)) }
    }

    private static func removeStaleSocket(_ path: String) throws(SystemError) {
        var identity = martlet_file_identity()
        // A checked string, and a local variable that the shim fills.
        guard unsafe martlet_identify(path, &identity) == 0 else {
            throw SystemError(call: "listen", errno: .addressInUse, context: path)
        }
        guard identity.mode & 0o170000 == 0o140000 else {
            throw SystemError(call: "listen", errno: .exists, context: "\(path) is there and is no socket")
        }
        let probe = Descriptor(owning: try checked(martlet_unix_socket(false), "socket", "Unix stream"))
        let result = unsafe martlet_unix_connect(probe.number, path)
        guard result == -ErrorNumber.connectionRefused.rawValue else {
            throw SystemError(call: "listen", errno: .addressInUse, context: path)
        }
        _ = try checked(unsafe martlet_unlink(path), "unlink", path)
    }
}
