/// What inner and outer headers tell each other about DSCP and ECN: the one place where that is decided.
///
/// Now the outer header tells nothing (DSCP 0, Not-ECT) and the inner one keeps what it had: RFC 6040's compatibility
/// mode, in which congestion is told by drops.
public enum TrafficClass {
    /// The outer header's octet for a packet whose own is `inner`.
    public static func outer(forInner inner: UInt8) -> UInt8 { 0 }
}
