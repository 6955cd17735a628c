import Clockwork
import Gateway
import GatewayModel
import IKECore
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import SwanctlConfig
import UserspacePlane
import WireFormat

/// The two gateways of the demonstration, hq and branch, on one control loop.
///
/// It owns their configurations, which are ordinary swanctl.conf text, and a pre-shared key that lives as long as the
/// demonstration does. Everything between them is real: IKEv2, ESP, UDP sockets.
struct DemoSites {
    /// One side.
    struct Site {
        var name: String
        var address: IPAddress
        var network: IPPrefix
        var host: IPAddress
    }

    let hq: GatewayStation
    let branch: GatewayStation

    /// IKE and ESP proposals of the demonstration: what a first tunnel should have.
    static let proposals = (ike: "aes256gcm16-prfsha384-x25519", esp: "aes256gcm16")

    /// Joins two planes. `path` tells which of the first's addresses reaches the second.
    init(_ first: (Site, UserspacePlane), _ second: (Site, UserspacePlane), on loop: ControlLoop) throws {
        var entropy = SystemEntropy()
        let secret = "0x" + Hex.encode(entropy.bytes(32))
        hq = try Self.station(first, second, secret, loop)
        branch = try Self.station(second, first, secret, loop)
    }

    private static func station(
        _ own: (site: Site, plane: UserspacePlane), _ peer: (site: Site, plane: UserspacePlane), _ secret: String,
        _ loop: ControlLoop
    ) throws -> GatewayStation {
        let text = """
            connections {
              tunnel {
                local_addrs = \(own.site.address)
                remote_addrs = \(peer.site.address)
                proposals = \(proposals.ike)
                dpd_delay = 10s
                local { auth = psk
                  id = \(own.site.name).example
                }
                remote { auth = psk
                  id = \(peer.site.name).example
                }
                children {
                  net {
                    local_ts = \(own.site.network)
                    remote_ts = \(peer.site.network)
                    esp_proposals = \(proposals.esp)
                  }
                }
              }
            }
            secrets {
              ike-demo {
                id-1 = \(own.site.name).example
                id-2 = \(peer.site.name).example
                secret = \(secret)
              }
            }
            """
        var loaded = try LoadedConfiguration(path: "demo.conf", source: FilesInMemory(["demo.conf": text]))
        var settings = Configuration()
        // Ports that the system chose stand in no file.
        if let plain = own.plane.ikeEndpoints.first?.port, let peerPlain = peer.plane.ikeEndpoints.first?.port,
            let shared = own.plane.sharedEndpoints.first?.port, let peerShared = peer.plane.sharedEndpoints.first?.port
        {
            settings.plainPorts = [plain, peerPlain]
            settings.natTraversalPort = shared
            for index in loaded.connections.indices {
                loaded.connections[index].localPort = plain
                loaded.connections[index].remotePort = peerPlain
                loaded.connections[index].remoteNATTraversalPort = peerShared
            }
        }
        return try GatewayStation(loaded, settings: settings, plane: own.plane, paths: ConfiguredPaths(), on: loop)
    }
}

/// Finds the way in the configuration: both addresses are named there.
private final class ConfiguredPaths: PathFinder {
    func path(for connection: Connection) -> Answer {
        guard let local = connection.localAddresses.first?.single, let remote = connection.remoteAddresses.first?.single
        else { return .noPath("no addresses") }
        return .path(
            Path(local: Endpoint(local, connection.localPort), remote: Endpoint(remote, connection.remotePort)))
    }
}
