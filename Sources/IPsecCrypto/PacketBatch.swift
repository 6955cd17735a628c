import CIPsecCrypto

/// Packets under way that are sealed together, since some ciphers are several times as fast for many at once: AES-CBC with
/// an HMAC, by ipsec-mb.
///
/// It owns the library's queue and belongs to one thread. It never holds a key, and no packet beyond ``LentBatch/finish()``.
@safe
public final class PacketBatch: @unchecked Sendable {
    // `@unchecked`: confined to one thread at a time by its owner; it may be handed over, never shared.
    let queue: OpaquePointer

    /// So few packets are sealed sooner one by one.
    public static let worthwhile = 4

    /// An empty batch; nil where ipsec-mb is not to be had or not to be used.
    public init?() {
        // Ours from here on: an opaque handle, freed in `deinit` and nowhere else.
        guard PacketAcceleration.isInUse, let queue = unsafe martlet_batch_new() else { return nil }
        unsafe self.queue = queue
    }

    deinit {
        // Made by `init`, never handed out.
        unsafe martlet_batch_free(queue)
    }

    /// The same batch for the packet path. Unsafe: the batch must outlive every use of it.
    @unsafe
    public var lent: LentBatch { LentBatch(self) }
}

/// A batch whose owner keeps it alive: a value, so that a packet that is put into it counts no reference.
@safe
public struct LentBatch {
    let queue: OpaquePointer

    fileprivate init(_ batch: PacketBatch) { unsafe queue = batch.queue }

    /// Seals all that is under way. False when the library refused one: then none may be sent, since it is not told which.
    public func finish() -> Bool { unsafe martlet_batch_finish(queue) == 1 }
}
