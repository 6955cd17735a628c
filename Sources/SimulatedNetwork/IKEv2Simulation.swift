public import IKECore
public import IKEv2Engine
import StateRecords
import WireFormat

extension IKEv2Endpoint: SimulatedEngine {
    /// The endpoint's own counts.
    public var census: Census {
        let counts = counts
        return Census(
            ikeSAs: counts.ikeSAs, halfOpen: counts.halfOpen, childSAs: counts.childSAs, deadlines: counts.deadlines,
            openTickets: counts.openTickets, spis: counts.spis)
    }
}

extension IKEv2Endpoint: HandoverEngine {
    /// Another endpoint, from what this one writes down.
    public func successor(
        _ configuration: Configuration, _ environment: inout Environment, _ effects: inout Effects
    ) throws -> any SimulatedEngine {
        let writer = RecordWriter()
        _ = handOver(to: writer)
        let next = IKEv2Endpoint(configuration: configuration)
        var reader = RecordReader(writer.buffer.withSpan { SecretBytes(copying: $0) }, version: 1)
        try next.takeOver(from: &reader, &environment, &effects)
        guard reader.isAtEnd else { throw RecordError.inconsistent("octets are left over") }
        return next
    }
}

extension ScenarioRun {
    /// A run of the IKEv2 engine.
    public static func ikev2(seed: UInt64, profile: Scenario.Profile = .mixed, loss: Double = 0.3) -> ScenarioRun {
        ScenarioRun(seed: seed, profile: profile, loss: loss) { configuration, _ in
            IKEv2Endpoint(configuration: configuration)
        }
    }
}

extension SessionFuzz {
    /// Two endpoints of the IKEv2 engine.
    public static func ikev2(seed: UInt64) -> SessionFuzz {
        SessionFuzz(seed: seed) { configuration, _ in IKEv2Endpoint(configuration: configuration) }
    }
}
