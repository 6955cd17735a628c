/// nftables of one network namespace.
///
/// It owns a netlink socket and belongs to one thread; it works on the namespace where it was made. What it made stays when
/// it goes.
public final class NetfilterSocket {
    private let netlink: NetlinkSocket

    /// For the calling thread's network namespace. EPROTONOSUPPORT: this kernel has no netfilter.
    public init() throws(SystemError) { netlink = try NetlinkSocket(family: 12) }

    /// Carries out all changes, or none. The error is that of the first change that the kernel would not make; EINVAL or
    /// EOPNOTSUPP for the batch itself: this kernel has no nftables.
    public func commit(_ batch: NetfilterBatch) throws(SystemError) {
        guard !batch.isEmpty else { return }
        try netlink.performAll(batch.requests, call: "nftables", context: batch.table)
    }
}
