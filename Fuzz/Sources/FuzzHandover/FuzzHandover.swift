// The record that one process leaves to the next, whatever is in it.
import Clockwork
import FuzzSupport
import Gateway
import IKECore
import IKEv2Engine
import StateRecords
import SwanctlConfig
import WireFormat

/// The configuration whose connections and pools the seeds' records speak of.
private let configuration = Array(
    """
    connections {
      lab {
        remote_addrs = 10.99.0.2
        vips = 0.0.0.0
        pools = four
        local { auth = psk }
        remote { auth = psk }
        children { net { remote_ts = 10.2.0.0/16 } }
      }
    }
    secrets { ike { secret = "of no use elsewhere" } }
    pools { four { addrs = 10.3.0.0/24 } }
    """.utf8)

private let loaded: LoadedConfiguration? = try? LoadedConfiguration(
    path: "d/a", source: FilesInMemory(["d/a": configuration]))

/// The input is a record. What can be read is gone on from for a while, and written down again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHandover(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let loaded else { fatalError("the configuration is a good one") }
    let bytes = unsafe Fuzz.octets(start, count)
    var now = Instant(nanoseconds: 60_000_000_000_000)
    let trial: HandoverTrial
    do { trial = try HandoverTrial(SecretBytes(bytes), with: loaded, now: now) } catch {
        _ = Fuzz.observe("\(error)")
        return 0
    }
    _ = Fuzz.observe("\(trial.associations) \(trial.refused)")
    let endpoint = trial.endpoint
    var environment = Environment(now: now, entropy: SeededEntropy(seed: 1))
    for _ in 0..<24 {
        // No clock gets near the end of time, where nothing is later than now.
        guard let next = endpoint.nextDeadline, next - now < .hours(24 * 3650) else { break }
        now = max(now, next)
        environment.now = now
        var effects = Effects()
        endpoint.handle(.deadline, &environment, &effects)
        _ = Fuzz.observe("\(effects.take().count)")
    }
    endpoint.comeToRest()
    let writer = RecordWriter()
    let account = endpoint.handOver(to: writer)
    var reader = RecordReader(writer.buffer.withSpan { SecretBytes(copying: $0) }, version: 1)
    let heir = IKEv2Endpoint(configuration: trial.configuration)
    var effects = Effects()
    do { try heir.takeOver(from: &reader, &environment, &effects) } catch {
        fatalError("what an endpoint has written is not read: \(error)")
    }
    Fuzz.require(heir.summaries().count >= account.kept.count, "IKE SAs get lost")
    return 0
}
