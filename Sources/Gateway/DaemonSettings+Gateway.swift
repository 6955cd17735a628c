import Clockwork
import IKECore
import NetworkTypes
import SwanctlConfig
import UserspacePlane

/// What the daemon's settings mean for the plane and for the engine.
extension PlaneConfiguration {
    /// Takes over ports and the routing table.
    mutating func apply(_ settings: DaemonSettings) {
        for index in ikeEndpoints.indices { ikeEndpoints[index].port = settings.port }
        for index in sharedEndpoints.indices { sharedEndpoints[index].port = settings.natTraversalPort }
        if let table = settings.routingTable { routeTable = table }
        if let priority = settings.routingTablePriority { rulePriority = priority }
        virtualAddressDevice = settings.virtualAddressDevice
        workers = settings.workers
    }
}

extension Configuration {
    /// A configuration without connections, with the daemon's settings as its limits.
    init(_ settings: DaemonSettings) {
        self.init()
        if let keepAlive = settings.keepAlive { limits.keepAlive = keepAlive }
        if let timeout = settings.halfOpenTimeout { limits.halfOpenTimeout = timeout }
        if let threshold = settings.cookieThreshold { limits.cookieThreshold = threshold }
        if let threshold = settings.blockThreshold { limits.halfOpenPerAddress = threshold }
        if let limit = settings.halfOpenLimit { limits.halfOpenTotal = limit }
        if let interval = settings.retryInitiateInterval, interval > .zero { limits.retryInitiateInterval = interval }
        resources = settings.workers
        natTraversalPort = settings.natTraversalPort
        plainPorts = (settings.port == 500 ? [500] : [500, settings.port]).filter { $0 != settings.natTraversalPort }
    }
}
