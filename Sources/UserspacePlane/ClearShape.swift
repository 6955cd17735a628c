import LinuxSystem
import NetworkTypes

/// Pairs of blocks with the same lengths, whatever their ports: what nearly all tunnels protect.
///
/// They lie in a set of exact values, which one more of them costs the same however many there are; a set of ranges is
/// copied by the kernel for every change. It owns the set's form and the rule that looks into it.
struct ClearShape: Hashable {
    let family: IPAddress.Family
    let sourceLength: Int
    let destinationLength: Int

    /// So many shapes are looked into for each packet; what has yet another one lies among the ranges.
    static let most = 16

    /// The shape of these selectors; nil when they are no pair of blocks, or ask for more than addresses.
    init?(_ selector: ClearSelector) {
        guard selector.isAddressesOnly, let source = selector.source.prefix,
            let destination = selector.destination.prefix
        else { return nil }
        family = source.family
        sourceLength = source.length
        destinationLength = destination.length
    }

    /// The set's name.
    var set: String { "blocks\(family == .v4 ? 4 : 6)_\(sourceLength)_\(destinationLength)" }

    /// The element that stands for selectors of this shape.
    static func element(_ selector: ClearSelector) -> NetfilterBatch.Element {
        NetfilterBatch.Element(selector.source.lower, selector.destination.lower)
    }

    /// Makes the set.
    func addSet(to batch: inout NetfilterBatch) {
        let address = family == .v4 ? NetfilterBatch.Field.v4Address : .v6Address
        batch.addSet(set, [address, address], exact: true)
    }

    /// The rule that drops what is in it.
    func addLookup(to batch: inout NetfilterBatch, chain: String) {
        // Source and destination follow each other.
        let (offset, length) = family == .v4 ? (12, 8) : (8, 32)
        var steps = ClearSelector.isFamily(family)
        steps.append(.payload(.network, offset: offset, length: length, register: 0))
        if sourceLength + destinationLength < 8 * length {
            // Each by itself: the kernel masks 16 octets at once at most.
            steps.append(.mask(mask(sourceLength), register: 0))
            steps.append(.mask(mask(destinationLength), register: length / 8))
        }
        batch.addRule(to: chain, steps + [.isIn(set, register: 0), .counter, .verdict(.drop)])
    }

    private func mask(_ length: Int) -> [UInt8] {
        (0..<family.bitWidth / 8).map { octet in
            let bits = min(8, max(0, length - 8 * octet))
            return UInt8(truncatingIfNeeded: 0xff00 >> bits)
        }
    }
}
