import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes

/// Makes a ``ChildTemplate`` from its section.
///
/// It owns the meaning of `connections.<conn>.children.<child>`.
struct ChildReader {
    private var reader: SectionReader
    private var diagnostics: DiagnosticCollector { reader.diagnostics }

    /// The largest replay window that the data plane keeps.
    private static let largestReplayWindow = 32_768

    /// The lowest precedence that a policy may be given.
    private static let largestPriority = 1_000_000

    init(_ reader: SectionReader, defaults: [String: String] = [:]) {
        self.reader = reader
        self.reader.defaults = defaults
    }

    /// The child. Where something is wrong it holds a default, and the mistake has been reported.
    mutating func child() -> ChildTemplate {
        var child = ChildTemplate(name: reader.view.name)
        child.proposals = proposals()
        child.truncatesSHA256 = reader.read("sha256_96", or: false, ValueSyntax.bool)
        child.localSelectors = selectors("local_ts")
        child.remoteSelectors = selectors("remote_ts")
        mode(&child)
        child.priority = reader.read("priority", or: 0) { text throws(ValueProblem) in
            UInt32(try ValueSyntax.number(text, in: 0...Self.largestPriority))
        }
        child.interface = interface(child)
        times(&child)
        child.tunnel = TunnelReader.behaviour(&reader)
        child.updown = reader.read("updown", or: [], Self.program)
        child.volume = TunnelReader.volume(&reader)
        child.compresses = compression(child)
        reviewPadding(child)
        reviewDummies(&child)
        actions(&child)
        child.replayWindow = reader.read("replay_window", or: ChildTemplate.defaultReplayWindow) {
            text throws(ValueProblem) in try ValueSyntax.number(text, in: 0...Self.largestReplayWindow)
        }
        // A profile that wants it so says itself what it thinks of such numbers.
        if child.replayWindow == 0, reader.view.setting("replay_window") != nil { withdrawExtendedNumbers(&child) }
        child.usesPerResourceSAs = reader.read("per_cpu_sas", or: false) { text throws(ValueProblem) in
            guard text.lowercased() != "encap" else {
                throw ValueProblem("UDP ports for each of them are not supported", remedy: "write yes or no")
            }
            return try ValueSyntax.bool(text)
        }
        // Falls back to software elsewhere, which is where we start.
        _ = reader.read("hw_offload", or: false) { text throws(ValueProblem) in
            guard
                try ValueSyntax.word(
                    text, [("no", true), ("auto", true), ("yes", false), ("crypto", false), ("packet", false)])
            else {
                throw ValueProblem(
                    "hardware offload is not supported: packets are sealed in user space", remedy: "write no or auto")
            }
            return false
        }
        reader.finish()
        return child
    }

    /// A program and its arguments. There is no shell that would take anything else apart.
    private static func program(_ text: String) throws(ValueProblem) -> [String] {
        let words = text.split(separator: " ").map(String.init)
        guard let path = words.first else { return [] }
        guard path.hasPrefix("/") else {
            throw ValueProblem(
                "'\(path)' is not the path of a program",
                remedy: path == "ipsec"
                    ? "remove it: Martlet sets up routes and its guard itself" : "write it from / on")
        }
        if let odd = text.first(where: { "|&;<>$`\"'*?()\\".contains($0) || $0 == "\t" || $0.isNewline }) {
            throw ValueProblem(
                "'\(odd)' means something to a shell only, and no shell reads this",
                remedy: "put the commands into a file that can be executed, and name that")
        }
        guard words.count <= 32 else { throw ValueProblem("there are more than 31 arguments", remedy: "use fewer") }
        return words
    }

    /// ESP unless only AH is named; both, ESP first, when both are.
    private mutating func proposals() -> [Proposal] {
        let hasAH = reader.text("ah_proposals")?.isEmpty == false
        let authenticated = hasAH ? ProposalReader.proposals(&reader, "ah_proposals", for: .ah) : []
        let wantsESP = !hasAH || reader.text("esp_proposals") != nil
        return (wantsESP ? ProposalReader.proposals(&reader, "esp_proposals", for: .esp) : []) + authenticated
    }

    /// IPComp, which wants ESP, and makes lengths tell what padding is to hide.
    private mutating func compression(_ child: ChildTemplate) -> Bool {
        guard reader.read("ipcomp", or: false, ValueSyntax.bool) else { return false }
        let (problem, remedy): (String, String)
        if child.proposals.contains(where: { $0.securityProtocol == .ah }) {
            (problem, remedy) = ("payloads are compressed with ESP only", "remove ah_proposals, or write ipcomp = no")
        } else if child.tunnel.padding != .none {
            (problem, remedy) = (
                "compressed packets show by their length what tfc_padding hides",
                "remove tfc_padding, or write ipcomp = no"
            )
        } else {
            return true
        }
        diagnostics.error(reader.location(of: "ipcomp"), "\(reader.path).ipcomp: \(problem)", remedy: remedy)
        return false
    }

    /// Only packets of ESP in tunnel mode say how much of them is padding.
    private func reviewPadding(_ child: ChildTemplate) {
        guard child.tunnel.padding != .none, child.shunt == nil else { return }
        let problem: String
        if child.mode == .transport {
            problem = "has no effect in transport mode"
        } else if child.proposals.allSatisfy({ $0.securityProtocol == .ah }) {
            problem = "has no effect with AH"
        } else if child.proposals.contains(where: { $0.securityProtocol == .ah }) {
            problem = "has no effect where the peer chooses AH"
        } else {
            return
        }
        diagnostics.warning(
            reader.location(of: "tfc_padding"), "\(reader.path).tfc_padding: \(problem): packets keep their lengths",
            remedy: "use ESP in tunnel mode, or remove it")
    }

    /// Dummy packets are ESP's: AH has none.
    private func reviewDummies(_ child: inout ChildTemplate) {
        guard child.tunnel.dummyInterval > .zero else { return }
        let authenticated = child.proposals.count { $0.securityProtocol == .ah }
        if child.shunt != nil || authenticated == child.proposals.count {
            let reason = child.shunt != nil ? "without a tunnel there are" : "AH has"
            diagnostics.error(
                reader.location(of: "dummy_interval"),
                "\(reader.path).dummy_interval: \(reason) no dummy packets (RFC 4303 §2.6)",
                remedy: child.shunt != nil ? "remove it" : "use ESP, or remove it")
            child.tunnel.dummyInterval = .zero
        } else if authenticated > 0 {
            diagnostics.warning(
                reader.location(of: "dummy_interval"),
                "\(reader.path).dummy_interval: has no effect where the peer chooses AH: an idle SA looks idle",
                remedy: "offer ESP only, or remove it")
        }
    }

    /// Who does not look for replays does not follow sequence numbers, and could not tell what their upper half is
    /// (RFC 4303 §3.3.3, RFC 4302 §3.3.2).
    private func withdrawExtendedNumbers(_ child: inout ChildTemplate) {
        for index in child.proposals.indices where child.proposals[index].transforms.contains(.esn) {
            child.proposals[index].transforms.removeAll { $0 == .esn }
            if child.proposals[index].transforms.contains(.noesn) { continue }
            let key = child.proposals[index].securityProtocol == .ah ? "ah_proposals" : "esp_proposals"
            diagnostics.error(
                reader.location(of: key),
                "\(reader.path).\(key): extended sequence numbers (esn) need a replay window, and replay_window is 0",
                remedy: "write noesn, or remove replay_window")
            return
        }
    }

    private mutating func selectors(_ key: String) -> [SelectorTemplate] {
        let selectors = reader.readList(key, or: []) { text throws(ValueProblem) in
            [try SelectorSyntax.selector(text)]
        }
        return selectors.isEmpty ? [.dynamic] : selectors
    }

    private mutating func mode(_ child: inout ChildTemplate) {
        guard let mode = reader.text("mode"), mode.lowercased() != "tunnel" else { return }
        if mode.lowercased() == "transport" {
            checkHostToHost(child)
            child.mode = .transport
            return
        }
        child.shunt = ChildTemplate.Shunt(rawValue: mode.uppercased())
        if child.shunt != nil { return }
        let isKnown = ["transport_proxy", "beet"].contains(mode.lowercased())
        diagnostics.error(
            reader.location(of: "mode"),
            "\(reader.path).mode: "
                + (isKnown ? "mode \(mode) is not supported: it never became a standard" : "'\(mode)' is not a mode"),
            remedy: "write mode = tunnel, transport, pass or drop")
    }

    /// Transport mode protects what the two hosts say to each other, and nothing behind them.
    private mutating func checkHostToHost(_ child: ChildTemplate) {
        for (key, selectors) in [("local_ts", child.localSelectors), ("remote_ts", child.remoteSelectors)] {
            guard let wide = selectors.first(where: { $0.addresses.map { $0.lower != $0.upper } ?? false }) else {
                continue
            }
            diagnostics.error(
                reader.location(of: key),
                "\(reader.path).\(key): \(wide) is more than one host, and transport mode is between two hosts only",
                remedy: "remove \(key), or write mode = tunnel")
        }
    }

    /// The keys that strongSwan does not have: a device of the child's own.
    private mutating func interface(_ child: ChildTemplate) -> VirtualInterface? {
        let template = reader.text("tunnel_interface")
        var interface = VirtualInterface(nameTemplate: template ?? "")
        interface.addresses = reader.readList("tunnel_interface_addresses", or: []) { text throws(ValueProblem) in
            guard let (address, length) = InterfaceSyntax.address(text) else {
                throw ValueProblem("'\(text)' is not an address of a device", remedy: "write it as 10.1.0.1/24")
            }
            return [VirtualInterface.Address(address, prefixLength: length)]
        }
        interface.mtu = reader.read("tunnel_interface_mtu", or: nil) { text throws(ValueProblem) in
            try ValueSyntax.number(text, in: 576...65_535)
        }
        interface.namespace = reader.text("tunnel_interface_netns")
        guard template != nil else {
            for key in ["tunnel_interface_addresses", "tunnel_interface_mtu", "tunnel_interface_netns"]
            where reader.view.setting(key)?.value != nil {
                diagnostics.error(
                    reader.location(of: key), "\(reader.path).\(key): the child has no device of its own",
                    remedy: "add tunnel_interface = vti%02d")
            }
            return nil
        }
        if interface.name(0) == nil {
            diagnostics.error(
                reader.location(of: "tunnel_interface"),
                "\(reader.path).tunnel_interface: '\(interface.nameTemplate)' is no name",
                remedy: "write at most 15 letters and digits, with one %d or %02d where a number is to stand")
        }
        let problem: String
        if let shunt = child.shunt {
            problem = "a policy with mode = \(shunt.rawValue.lowercased()) has no tunnel that a device could be for"
        } else if child.mode == .transport {
            problem = "transport mode carries this host's own packets, which do not come by a device"
        } else {
            return interface
        }
        diagnostics.error(
            reader.location(of: "tunnel_interface"), "\(reader.path).tunnel_interface: \(problem)",
            remedy: "remove tunnel_interface, or write mode = tunnel")
        return interface
    }

    /// Each of the two times follows from the other when only one is given.
    private mutating func times(_ child: inout ChildTemplate) {
        let hasRekey = reader.setting("rekey_time") != nil
        let hasLife = reader.setting("life_time") != nil
        let rekey = reader.read("rekey_time", or: .hours(1), ValueSyntax.time)
        let life = reader.read("life_time", or: .zero, ValueSyntax.time)
        switch (hasRekey, hasLife) {
        case (_, false):
            child.rekeyTime = rekey
            child.lifeTime = rekey.scaled(by: 1.1)
        case (false, true):
            child.lifeTime = life
            child.rekeyTime = life.scaled(by: 0.9)
        case (true, true):
            child.rekeyTime = rekey
            child.lifeTime = life
        }
        if child.lifeTime > .zero, child.rekeyTime > child.lifeTime || child.rekeyTime == child.lifeTime {
            diagnostics.warning(
                reader.location(of: "life_time"),
                "\(reader.path): life_time ends the SA before rekey_time can replace it",
                remedy: "make life_time longer than rekey_time")
        }
        let difference = child.lifeTime - child.rekeyTime
        child.randTime = reader.read("rand_time", or: max(difference, .zero), ValueSyntax.time)
        child.inactivity = reader.read("inactivity", or: .zero, ValueSyntax.time)
    }

    private mutating func actions(_ child: inout ChildTemplate) {
        child.startAction = reader.read("start_action", or: .none) { text throws(ValueProblem) in
            let word = text.filter { $0 != " " }
            return try ValueSyntax.word(
                word,
                [
                    ("none", .none), ("clear", .none), ("trap", .trap), ("route", .trap), ("hold", .trap),
                    ("start", .start), ("restart", .start), ("trap|start", .trapAndStart),
                    ("start|trap", .trapAndStart),
                ])
        }
        if let shunt = child.shunt, child.startAction == .none {
            diagnostics.warning(
                reader.location(of: "start_action"),
                "\(reader.path): a policy with mode = \(shunt.rawValue.lowercased()) is in force only with"
                    + " start_action = trap", remedy: "add start_action = trap, or remove the child")
        }
        child.closeAction = closeAction("close_action")
        child.dpdAction = closeAction("dpd_action")
    }

    private mutating func closeAction(_ key: String) -> ChildTemplate.CloseAction {
        reader.read(key, or: .none) { text throws(ValueProblem) in
            try ValueSyntax.word(
                text,
                [
                    ("none", .none), ("clear", .none), ("trap", .trap), ("route", .trap), ("hold", .trap),
                    ("start", .start), ("restart", .start),
                ])
        }
    }
}
