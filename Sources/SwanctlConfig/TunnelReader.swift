import Clockwork
import GatewayModel

/// Reads the keys of a child that say how its packets are fitted to the path, and how many it may carry.
///
/// It owns their meaning and their defaults; `mss`, `mtu`, `fragment` and `dummy_interval` are keys of Martlet's own.
enum TunnelReader {
    /// The largest limits that make sense.
    private static let mostPackets = Int(UInt32.max)
    private static let largestPacket = 65_535

    /// How packets are fitted to the path.
    static func behaviour(_ reader: inout SectionReader) -> TunnelBehaviour {
        var behaviour = TunnelBehaviour()
        behaviour.segmentSize = reader.read("mss", or: .automatic) { text throws(ValueProblem) in
            switch text.lowercased() {
            case "auto", "yes": return .automatic
            case "off", "no", "0": return .unlimited
            default: return .octets(try number(text, in: 88...largestPacket, "write auto, off, or octets: 1360"))
            }
        }
        behaviour.mtu = reader.read("mtu", or: nil) { text throws(ValueProblem) in
            if text.lowercased() == "auto" || text == "0" { return nil }
            return try number(
                text, in: TunnelBehaviour.leastMTU...largestPacket, "write auto, or octets of inner packets: 1400")
        }
        behaviour.fragmentation = reader.read("fragment", or: .before) { text throws(ValueProblem) in
            try ValueSyntax.word(text, [("before", .before), ("after", .after)])
        }
        behaviour.copiesDF = reader.read("copy_df", or: true, ValueSyntax.bool)
        behaviour.copiesECN = reader.read("copy_ecn", or: true, ValueSyntax.bool)
        behaviour.copiesDSCP = reader.read("copy_dscp", or: .outward) { text throws(ValueProblem) in
            try ValueSyntax.word(
                text,
                [
                    ("out", .outward), ("in", .inward), ("yes", [.outward, .inward]), ("no", []),
                    ("true", [.outward, .inward]), ("false", []),
                ])
        }
        behaviour.padding = reader.read("tfc_padding", or: .none) { text throws(ValueProblem) in
            if text.lowercased() == "mtu" { return .path }
            let octets = try number(text, in: 0...largestPacket, "write a number of octets, or mtu")
            return octets == 0 ? .none : .octets(octets)
        }
        behaviour.dummyInterval = reader.read("dummy_interval", or: .zero, ValueSyntax.time)
        return behaviour
    }

    /// How much a child's SAs may carry.
    static func volume(_ reader: inout SectionReader) -> VolumeLifetime {
        VolumeLifetime(
            bytes: limit(&reader, "bytes", octets),
            packets: limit(&reader, "packets") { text throws(ValueProblem) in
                UInt64(try ValueSyntax.number(text, in: 0...mostPackets))
            })
    }

    /// Octets, with `k`, `m` or `g` for powers of 1,024.
    static func octets(_ text: String) throws(ValueProblem) -> UInt64 {
        let remedy = "write a number of octets, or one with k, m or g: 500m, 4g"
        let digits = text.prefix { ("0"..."9").contains($0) }
        let shift: UInt64
        switch text.dropFirst(digits.count).drop(while: { $0 == " " }).lowercased() {
        case "": shift = 0
        case "k": shift = 10
        case "m": shift = 20
        case "g": shift = 30
        default: throw ValueProblem("'\(text)' is not a number of octets", remedy: remedy)
        }
        guard let count = UInt64(digits) else {
            throw ValueProblem("'\(text)' is not a number of octets", remedy: remedy)
        }
        guard count <= UInt64(Int64.max) >> shift else {
            throw ValueProblem("'\(text)' is more octets than anybody sends", remedy: remedy)
        }
        return count << shift
    }

    /// Each of the three follows from the others where it is not given, as swanctl has it.
    private static func limit(
        _ reader: inout SectionReader, _ unit: String, _ parse: (String) throws(ValueProblem) -> UInt64
    ) -> VolumeLifetime.Limit {
        let hasLife = reader.view.setting("life_\(unit)") != nil
        let hasRekey = reader.view.setting("rekey_\(unit)") != nil
        var limit = VolumeLifetime.Limit()
        limit.rekey = reader.read("rekey_\(unit)", or: 0, parse)
        limit.life = reader.read("life_\(unit)", or: 0, parse)
        if hasRekey, !hasLife, limit.rekey > 0 { limit.life = limit.rekey + limit.rekey / 10 + 1 }
        if hasLife, !hasRekey { limit.rekey = limit.life - limit.life / 10 }
        if limit.life > 0, limit.rekey >= limit.life {
            reader.diagnostics.warning(
                reader.location(of: "life_\(unit)"),
                "\(reader.path): life_\(unit) ends the SA before rekey_\(unit) can replace it",
                remedy: "make life_\(unit) larger than rekey_\(unit)")
        }
        let difference = limit.life > limit.rekey ? limit.life - limit.rekey : 0
        limit.random = reader.read("rand_\(unit)", or: difference, parse)
        return limit
    }

    private static func number(
        _ text: String, in range: ClosedRange<Int>, _ remedy: String
    ) throws(ValueProblem) -> Int {
        guard let value = Int(text), range.contains(value) else {
            throw ValueProblem(
                "'\(text)' is not a number from \(range.lowerBound) to \(range.upperBound)", remedy: remedy)
        }
        return value
    }
}
