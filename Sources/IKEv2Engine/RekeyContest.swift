/// Which of two replacements of the same SA stays, when both ends started one at the same time (RFC 7296 §2.8.1): the one
/// with the lowest of the four nonces is closed, by the end that asked for it.
struct RekeyContest: Hashable {
    /// Both nonces of the exchange that we started.
    let ours: [[UInt8]]
    /// Both nonces of the exchange that the peer started.
    let theirs: [[UInt8]]

    /// Whether our replacement stays. Both ends come to opposite answers, since no two nonces are equal; should they be,
    /// both replacements are closed.
    var oursStays: Bool {
        guard let ourLowest = Self.lowest(ours), let theirLowest = Self.lowest(theirs) else { return false }
        return theirLowest.lexicographicallyPrecedes(ourLowest)
    }

    /// Octet by octet; where one ends first, it is the lower one.
    private static func lowest(_ nonces: [[UInt8]]) -> [UInt8]? {
        nonces.min { $0.lexicographicallyPrecedes($1) }
    }
}
