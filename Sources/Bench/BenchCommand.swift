import ArgumentParser

/// `martlet-bench`: measures parts of Martlet by themselves, and puts load on a gateway.
///
/// Every figure is one line: `name value unit ratio`. The ratio is the value over the one that it is compared with, or
/// `-` where there is nothing to compare with.
@main
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet-bench",
        abstract: "Measures Martlet.",
        discussion: """
            Prints lines `name value unit ratio`. `Interop/bench` measures whole gateways, side by side with strongSwan.
            """,
        subcommands: [Engine.self, Handshakes.self, Plane.self, Tunnels.self, Planes.self, Lean.self, Crowd.self])
}

/// One figure.
struct Figure {
    /// What was measured; words joined by `/`.
    let name: String
    /// The value.
    let value: Double
    /// Its unit.
    let unit: String
    /// The value over that which it is compared with.
    var ratio: Double?

    /// The figure's line.
    var line: String { "\(name) \(Self.text(value)) \(unit) \(ratio.map { Self.text($0) } ?? "-")" }

    /// Three digits after the point, fewer for large numbers.
    static func text(_ value: Double) -> String {
        guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
        let places = value.magnitude >= 1000 ? 0 : value.magnitude >= 100 ? 1 : value.magnitude >= 10 ? 2 : 3
        let scale = [1, 10, 100, 1000][places]
        let scaled = Int((value.magnitude * Double(scale)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard places > 0 else { return "\(sign)\(scaled)" }
        let fraction = String(scaled % scale)
        return "\(sign)\(scaled / scale).\(String(repeating: "0", count: places - fraction.count))\(fraction)"
    }
}

extension Array where Element == Double {
    /// The value in the middle; zero when there is none.
    var median: Double {
        guard !isEmpty else { return 0 }
        let sorted = self.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
