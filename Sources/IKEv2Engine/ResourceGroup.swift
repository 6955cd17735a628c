import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// Which of several Child SAs for the same packets one is (RFC 9611): the first serves all of a gateway's workers, each
/// further one has a worker for itself.
///
/// Whoever initiated one of them asks for the further ones, as many as its own workers want; each end says for itself which
/// of its workers has which. There are never more of them than workers.
struct ResourceMembership {
    /// Whether both ends have said that there may be more.
    let isGrouped: Bool
    /// Which of our resources it is for; see ``ChildAgreement/resource``.
    let resource: Int?

    /// What we tell the peer of it.
    var notifies: [NotifyPayload] { isGrouped ? [.resource(resource)] : [] }

    /// That of one that takes another's place.
    init(replacing old: ChildAgreement, _ notifies: [NotifyPayload]) {
        isGrouped = old.isGrouped && notifies.contains(.saResourceInfo)
        resource = old.resource
    }

    /// That of one that the peer asks for; nil when there are as many as may be (RFC 9611 §5.2).
    init?(
        _ template: borrowing ChildTemplate, local: [TrafficSelector], remote: [TrafficSelector],
        _ notifies: [NotifyPayload], _ context: SessionContext, resources: Int
    ) {
        isGrouped = template.announcesResources(resources) && notifies.contains(.saResourceInfo)
        guard isGrouped else {
            resource = nil
            return
        }
        let first = context.children.all.first {
            $0.isLive && $0.agreement.isGrouped && $0.agreement.resource == nil
                && $0.agreement.template.name == template.name && $0.agreement.localSelectors == local
                && $0.agreement.remoteSelectors == remote
        }
        guard let first else {
            resource = nil
            return
        }
        guard let free = context.freeResource(like: first.agreement, of: resources) else {
            return nil
        }
        resource = free
    }
}

extension NotifyPayload {
    /// SA_RESOURCE_INFO, with our number of the resource for whoever looks into it (RFC 9611 §5.1).
    static func resource(_ number: Int?) -> NotifyPayload {
        guard let number else { return NotifyPayload(.saResourceInfo) }
        let octets = (0..<4).reversed().map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        return NotifyPayload(.saResourceInfo, octets)
    }
}

extension ChildTemplate {
    /// Whether we say that there may be several Child SAs of it.
    func announcesResources(_ resources: Int) -> Bool { usesPerResourceSAs && resources > 1 }
}

extension ChildSA {
    /// Whether it is up and not on its way out.
    fileprivate var isLive: Bool { state == .installed || state == .rekeying }
}

extension SessionContext {
    /// The lowest of `count` resources without a Child SA like this one, but for the first, which has none of its own;
    /// nil when each has one.
    func freeResource(like agreement: ChildAgreement, of count: Int) -> Int? {
        guard count > 1 else { return nil }
        let taken = children.all.filter { $0.isLive && $0.agreement.isLike(agreement) }.map(\.agreement.resource)
        return (1..<count).first { !taken.contains($0) }
    }

    /// A Child SA is up that we asked for: when it is one of several, the next is asked for.
    func wantMore(like child: ChildSA, resources: Int) {
        guard child.agreement.isGrouped,
            freeResource(like: child.agreement, of: resources) != nil
        else { return }
        agenda.add(.createBeside(child.id))
    }

    /// A Child SA has ended and none took its place: when it is the first of several, the others end with it, since they
    /// serve only some of the workers.
    func endGroup(of child: ChildSA, _ reason: Event.CloseReason) {
        guard child.agreement.isGrouped, child.agreement.resource == nil else { return }
        let others = children.all.filter { $0.isLive && $0.id != child.id && $0.agreement.isLike(child.agreement) }
        guard others.allSatisfy({ $0.agreement.resource != nil }) else { return }
        for other in others { agenda.add(.deleteChild(other.id, reason)) }
    }
}

extension ChildAgreement {
    /// Whether both carry the same packets, each for a resource of its own or for all.
    fileprivate func isLike(_ other: ChildAgreement) -> Bool {
        template.name == other.template.name && localSelectors == other.localSelectors
            && remoteSelectors == other.remoteSelectors
    }
}
