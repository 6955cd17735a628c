// A schedule between two gateways: which datagram is delivered, lost, doubled or changed, which deadline fires, which
// question is answered and how.
import FuzzSupport
import SimulatedNetwork

/// One input is a seed for the two configurations, how far the two have come, and what then happens to them.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSession(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe Fuzz.octets(start, count)
    guard let seed = bytes.first else { return 0 }
    let result = SessionFuzz.ikev2(seed: UInt64(seed % 32)).run(Array(bytes.dropFirst()))
    if let problem = result.problem { fatalError(problem) }
    _ = Fuzz.observe(result.digest.description)
    return 0
}
