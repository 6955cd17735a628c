import Clockwork
public import GatewayModel
import NetworkTypes
public import ViciMessages

/// What clients that registered for it are told.
public enum ViciEvent: Hashable, Sendable {
    /// An IKE SA came up or went down.
    case ikeUpDown(isUp: Bool, IKESASummary)
    /// A Child SA came up or went down; the IKE SA's own list of children is not looked at.
    case childUpDown(isUp: Bool, ChildSASummary, of: IKESASummary, ViciIKESA.Traffic)
    /// An IKE SA took another one's place.
    case ikeRekey(old: IKESASummary, new: IKESASummary)
    /// An IKE SA's ends moved; the summary's path is the new one.
    case ikeUpdate(IKESASummary)
    /// A Child SA took another one's place.
    case childRekey(old: ChildSASummary, new: ChildSASummary, of: IKESASummary, [ChildSAID: ViciIKESA.Traffic])
    /// Something went wrong that somebody may have to know at once: its type, as this field names it, a sentence, and the
    /// IKE SA where there is one.
    case alert(type: String, message: String, IKESASummary?)
    /// A line of the log.
    case log(ViciLogLine)
    /// An event by its name and contents.
    case other(String, ViciTree)

    /// The name that clients register for.
    public var name: String {
        switch self {
        case .ikeUpDown: "ike-updown"
        case .childUpDown: "child-updown"
        case .ikeRekey: "ike-rekey"
        case .ikeUpdate: "ike-update"
        case .childRekey: "child-rekey"
        case .alert: "alert"
        case .log: "log"
        case .other(let name, _): name
        }
    }

    /// What the event's packet carries.
    func tree(now: Instant) -> ViciTree {
        switch self {
        case .ikeUpDown(let isUp, let summary):
            return Self.merged(isUp, ViciReports.ikeSA(ViciIKESA(summary), now: now, includesChildren: false))
        case .childUpDown(let isUp, let child, let summary, let traffic):
            var owner = summary
            owner.children = [child]
            return Self.merged(isUp, ViciReports.ikeSA(ViciIKESA(owner, traffic: [child.id: traffic]), now: now))
        case .ikeRekey(let old, let new):
            return ViciTree { tree in
                tree.setSection(old.connection) { section in
                    for (name, summary) in [("old", old), ("new", new)] {
                        section[element: name] = .section(Self.fields(summary, now))
                    }
                }
            }
        case .ikeUpdate(let summary):
            return ViciTree { tree in
                tree.set("local-host", summary.path.local.address)
                tree.set("local-port", summary.path.local.port)
                tree.set("remote-host", summary.path.remote.address)
                tree.set("remote-port", summary.path.remote.port)
                tree[element: summary.connection] = .section(Self.fields(summary, now))
            }
        case .childRekey(let old, let new, let summary, let traffic):
            return ViciTree { tree in
                tree.setSection(summary.connection) { section in
                    section = Self.fields(summary, now)
                    section.setSection("child-sas") { children in
                        children.setSection(new.name) { pair in
                            for (name, child) in [("old", old), ("new", new)] {
                                pair.setSection(name) {
                                    ViciReports.childSAFields(child, traffic[child.id] ?? .init(), now: now, into: &$0)
                                }
                            }
                        }
                    }
                }
            }
        case .alert(let type, let message, let summary):
            return ViciTree { tree in
                tree.set("type", type)
                tree.set("message", ViciReports.text(message))
                if let summary { tree[element: summary.connection] = .section(Self.fields(summary, now)) }
            }
        case .log(let line): return line.tree(thread: 1)
        case .other(_, let tree): return tree
        }
    }

    /// An IKE SA without its children.
    private static func fields(_ summary: IKESASummary, _ now: Instant) -> ViciTree {
        ViciReports.ikeSA(ViciIKESA(summary), now: now, includesChildren: false).section(summary.connection)
            ?? ViciTree()
    }

    /// `up` stands first, and only when it is true: clients look whether it is there.
    private static func merged(_ isUp: Bool, _ report: ViciTree) -> ViciTree {
        ViciTree { tree in
            if isUp { tree.set("up", true) }
            for entry in report.entries { tree[element: entry.name] = entry.element }
        }
    }
}

/// A line of the log, as clients get it.
public struct ViciLogLine: Hashable, Sendable {
    /// Which part of the gateway says it, three capitals as this field has it: IKE, CFG, NET, ENC, KNL, DMN…
    public var group: String
    /// How detailed it is: 0 for what everybody should see, 1 for the course of things, up to 4.
    public var level: Int
    /// The connection; nil when it belongs to none.
    public var connection: String?
    /// The IKE SA; nil when it belongs to none.
    public var ikeSA: IKESAID?
    /// What is said.
    public var text: String
    /// When, in seconds since 1970; nil for now.
    public var time: Int64?

    /// A line of the log.
    public init(group: String, level: Int = 1, connection: String? = nil, ikeSA: IKESAID? = nil, text: String) {
        self.group = group
        self.level = level
        self.connection = connection
        self.ikeSA = ikeSA
        self.text = text
    }

    /// What the event's packet carries. Text that a value can't hold is cut.
    func tree(thread: Int?) -> ViciTree {
        ViciTree { tree in
            tree.set("group", group)
            tree.set("level", level)
            if let thread { tree.set("thread", thread) }
            if let time { tree.set("time", time) }
            if let connection { tree.set("ikesa-name", connection) }
            if let ikeSA { tree.set("ikesa-uniqueid", ikeSA) }
            tree.set("msg", ViciReports.text(text))
        }
    }
}
