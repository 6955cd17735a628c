import CIPsecCrypto
import Synchronization

/// Whether packet ciphers are made with Intel's ipsec-mb, which seals and opens AES-GCM faster than libcrypto does.
///
/// It owns one switch for the process. A cipher keeps what it was made with; both put out the same octets. The library is
/// looked for when the first cipher is made; where it is missing, on another processor than amd64, or when Martlet was
/// built without its header, libcrypto does the work.
public enum PacketAcceleration {
    private static let isAllowed = Atomic(true)

    /// Whether it is there.
    public static var isAvailable: Bool { martlet_accelerator_available() == 1 }

    /// Whether ciphers that are made now use it where it is there.
    public static var isInUse: Bool { isAllowed.load(ordering: .relaxed) }

    /// Lets ciphers that are made from now on use it, or not.
    public static func allow(_ allowed: Bool) { isAllowed.store(allowed, ordering: .relaxed) }
}
