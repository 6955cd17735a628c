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
        try netlink.performAll(
            [Self.mark(0x10)] + batch.requests + [Self.mark(0x11)], call: "nftables", context: batch.table)
    }

    /// NFNL_MSG_BATCH_BEGIN and NFNL_MSG_BATCH_END, for nftables.
    private static func mark(_ type: UInt16) -> NetlinkRequest {
        NetlinkRequest(type) { $0.netfilterHeader(family: 0, resource: 10) }
    }
}
