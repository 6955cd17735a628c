import LinuxSystem
import Synchronization

/// Remembers the first thing that a packet thread could not go on after.
final class PlaneFailure: Sendable {
    private let first = Mutex<SystemError?>(nil)

    /// Remembers it, if it is the first.
    func record(_ error: SystemError) {
        first.withLock { first in
            if first == nil { first = error }
        }
    }

    /// The first; nil while all is well.
    var error: SystemError? { first.withLock { $0 } }
}
