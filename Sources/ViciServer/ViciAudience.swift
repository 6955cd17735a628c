/// Who is at the control socket, as whoever carries commands out sees them.
public protocol ViciAudience: AnyObject {
    /// Tells the client how its command ended. A ticket that nobody waits for any more is passed over.
    func complete(_ ticket: ViciTicket, _ outcome: ViciOutcome)
    /// Tells the client what happens on behalf of its command.
    func log(_ ticket: ViciTicket, _ line: ViciLogLine)
    /// Tells everybody who wants to know.
    func publish(_ event: ViciEvent)
    /// Whether anybody wants events of this name: what costs to make need not be made for nobody.
    func hasListeners(_ event: String) -> Bool
    /// Clients that are connected.
    var clientCount: Int { get }
}

extension ViciServer: ViciAudience {}
