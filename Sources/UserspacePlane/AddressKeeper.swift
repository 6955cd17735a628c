import LinuxSystem
import NetworkTypes

/// Gives the host the virtual addresses that peers gave to it, and takes them away again.
///
/// It owns the addresses that it made; one that was there before is left alone at both times. Several IKE SAs may bring
/// the same. It belongs to the control thread. Those on the TUN device go with it, whatever ends the process.
final class AddressKeeper {
    private struct Holding {
        var users: Int
        let made: InterfaceAddress?
    }

    private let socket: RouteSocket
    private let interface: UInt32
    private var holdings: [IPAddress: Holding] = [:]

    /// For the link with number `interface`.
    init(_ socket: RouteSocket, interface: UInt32) {
        self.socket = socket
        self.interface = interface
    }

    /// One IKE SA more brings it.
    func add(_ address: IPAddress) throws(SystemError) {
        if let users = holdings[address]?.users {
            holdings[address]?.users = users + 1
            return
        }
        guard try !socket.addresses().contains(where: { $0.address == address }) else {
            holdings[address] = Holding(users: 1, made: nil)
            return
        }
        let made = InterfaceAddress(
            interface: interface, address: address, prefixLength: address.family.bitWidth,
            skipsDuplicateDetection: true)
        try socket.add(made)
        holdings[address] = Holding(users: 1, made: made)
    }

    /// Takes over addresses that an earlier process has made: they are ours to remove, if nobody brings them any more.
    func adopt(_ addresses: [IPAddress]) {
        for address in addresses {
            holdings[address] = Holding(
                users: 0,
                made: InterfaceAddress(
                    interface: interface, address: address, prefixLength: address.family.bitWidth,
                    skipsDuplicateDetection: true))
        }
    }

    /// The addresses that were made here.
    var made: [IPAddress] { holdings.filter { $0.value.made != nil }.keys.sorted() }

    /// One IKE SA fewer brings it.
    func remove(_ address: IPAddress) throws(SystemError) {
        guard let holding = holdings[address] else { return }
        guard holding.users == 1 else {
            holdings[address]?.users = holding.users - 1
            return
        }
        holdings[address] = nil
        if let made = holding.made { try socket.delete(made) }
    }

    /// Removes all that is ours.
    func removeAll() throws(SystemError) {
        for address in holdings.keys.sorted() {
            if let made = holdings.removeValue(forKey: address)?.made { try socket.delete(made) }
        }
    }
}
