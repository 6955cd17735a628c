import Glibc
import LinuxSystem
import Testing

@testable import Gateway

/// What a service manager gives back to the process that comes next.
@Suite struct KeptDescriptorsTests {
    private static func kept(_ names: [String], probe: Int32 = -1) -> [PassedDescriptors.Passed] {
        names.enumerated().map { place, name in
            PassedDescriptors.Passed(name: name, number: name == "martlet-probe" ? probe : Int32(100_000 + place))
        }
    }

    /// A manager that starts us before it has read that the probe need not be kept.
    @Test func aProbeThatIsStillThereIsClosed() throws {
        let (far, near) = try {
            let pair = try UnixStream.pair()
            return (dup(pair.0.descriptor.number), pair.1)
        }()
        let kept = Self.kept(["martlet-7", "martlet-probe", "martlet-9", "martlet-state", "martlet-mark"], probe: far)
        #expect(try Daemon.handedNumbers(kept) == [7: 100_000, 9: 100_002])
        var octet: [UInt8] = [0]
        #expect(try near.read(into: &octet) == .end, "nobody has the other end")
    }

    @Test(arguments: [["martlet-7", "martlet-7"], ["martlet-x"], ["other"]])
    func whatIsNotKnownIsRefused(_ names: [String]) {
        #expect(throws: (any Error).self) { try Daemon.handedNumbers(Self.kept(names)) }
    }
}
