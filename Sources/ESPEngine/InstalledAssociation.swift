public import GatewayModel

/// What every SA in a data plane tells, whichever protocol it speaks.
public protocol InstalledAssociation: AnyObject, Sendable {
    /// The number in its packets.
    var spi: UInt32 { get }
    /// The Child SA that it belongs to.
    var child: ChildSAID { get }
    /// Its traffic. Any thread may ask.
    var counters: SACounters { get }
    /// What another process needs to go on with it; nil when the keys are not `association`'s. Only while the thread that
    /// has it is at rest.
    func state(of association: SecurityAssociation) -> AssociationState?
}

extension InboundSA: InstalledAssociation {}
extension OutboundSA: InstalledAssociation {}
extension InboundAH: InstalledAssociation {}
extension OutboundAH: InstalledAssociation {}
