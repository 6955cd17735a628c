import Clockwork
import Foundation
import GatewayModel
import IPPackets
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import Testing
import UserspacePlane
import WireFormat

/// What several tests need. Every name carries the process's number, so that two runs do not meet.
enum Support {
    /// Whether we may make namespaces and devices. As root, a test that cannot do so fails: it is never passed over.
    static let isRoot: Bool = {
        let isRoot = ProcessInformation.effectiveUser == 0
        if !isRoot { print("UserspacePlaneTests: not root, so the tests that need namespaces and devices do not run") }
        return isRoot
    }()

    static func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }
    static func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
    static func selectors(_ texts: [String]) throws -> [TrafficSelector] {
        try texts.map { TrafficSelector(try prefix($0)) }
    }

    /// The two SAs of a Child SA as one end installs them. `isFirst` says which end; the numbers follow from `index`.
    static func associations(
        index: Int, isFirst: Bool, path: Path, local: [TrafficSelector], remote: [TrafficSelector],
        encapsulation: SecurityAssociation.Encapsulation = .udp, child: UInt32 = 1, keys: UInt64 = 0
    ) -> (inbound: SecurityAssociation, outbound: SecurityAssociation) {
        func association(_ direction: SecurityAssociation.Direction, toFirst: Bool) -> SecurityAssociation {
            var entropy = SeededEntropy(seed: UInt64(index) * 2 + (toFirst ? 1 : 0) + keys)
            return SecurityAssociation(
                direction: direction, spi: SPILayout.spi(index: index, chance: toFirst ? 100 : 200),
                child: ChildSAID(rawValue: child), mode: .tunnel, encryption: .aes128gcm16, integrity: nil,
                usesExtendedSequenceNumbers: true, encryptionKey: SecretBytes(entropy.bytes(20)),
                integrityKey: SecretBytes([]), path: path, encapsulation: encapsulation, replayWindow: 2048,
                localSelectors: local, remoteSelectors: remote)
        }
        return (association(.inbound, toFirst: isFirst), association(.outbound, toFirst: !isFirst))
    }

    /// Installs both directions and protects their selectors.
    static func bringUp(
        _ plane: UserspacePlane, index: Int, isFirst: Bool, path: Path, local: [TrafficSelector],
        remote: [TrafficSelector], encapsulation: SecurityAssociation.Encapsulation = .udp, child: UInt32 = 1,
        keys: UInt64 = 0, mode: ChildTemplate.Mode = .tunnel, isAH: Bool = false,
        tunnel: TunnelBehaviour = TunnelBehaviour()
    ) throws {
        var pair = associations(
            index: index, isFirst: isFirst, path: path, local: local, remote: remote, encapsulation: encapsulation,
            child: child, keys: keys)
        pair.inbound.mode = mode
        pair.outbound.mode = mode
        pair.inbound.tunnel = tunnel
        pair.outbound.tunnel = tunnel
        if isAH {
            pair.inbound.useAH()
            pair.outbound.useAH()
        }
        try plane.obey(.install(pair.inbound))
        try plane.obey(.install(pair.outbound))
        try plane.obey(
            .protect(ChildSAID(rawValue: child), local: local, remote: remote, spi: pair.outbound.spi))
    }

    /// A UDP packet over IPv4.
    static func packet(from source: IPAddress, to destination: IPAddress, payload: [UInt8]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 28) + payload
        var span = bytes.mutableSpan
        // Octets have no padding: a span of them is a raw span.
        var raw = unsafe span.mutableBytes
        let isWritten =
            IPv4Header.write(
                into: &raw, from: source, to: destination, ipProtocol: .udp, payloadLength: 8 + payload.count)
            && UDPHeader.write(into: &raw, at: 20, from: 7, to: 9, payloadLength: payload.count)
        #expect(isWritten)
        return bytes
    }

    /// Asks again and again for ten seconds, until it is so.
    static func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
        let end = MonotonicClock.now() + .seconds(10)
        while MonotonicClock.now() < end {
            if try condition() { return true }
            Thread.sleep(forTimeInterval: 0.005)
        }
        return try condition()
    }

    /// The exit code of a program in a namespace.
    static func run(in namespace: String, _ arguments: [String]) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/sbin/ip")
        process.arguments = ["netns", "exec", namespace] + arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }
}

extension SecurityAssociation {
    /// The same by AH.
    fileprivate mutating func useAH() {
        var entropy = SeededEntropy(seed: UInt64(spi))
        securityProtocol = .ah
        encryption = Transform(.encryption, 0)
        encryptionKey = SecretBytes([])
        integrity = .sha256
        integrityKey = SecretBytes(entropy.bytes(32))
    }
}

extension Trait where Self == ConditionTrait {
    static var needsRoot: Self { .enabled(if: Support.isRoot, "needs root: namespaces and devices") }
}
