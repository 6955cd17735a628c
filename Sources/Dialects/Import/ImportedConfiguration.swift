/// Where something stands in a file that was imported.
public struct ImportPlace: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The file's name.
    public var file: String
    /// The line, from 1; 0 for the file as a whole.
    public var line: Int

    /// A place.
    public init(_ file: String, _ line: Int) {
        self.file = file
        self.line = line
    }

    /// `file:line`.
    public var description: String { line > 0 ? "\(file):\(line)" : file }

    /// By file, then by line.
    public static func < (left: Self, right: Self) -> Bool { (left.file, left.line) < (right.file, right.line) }
}

/// Something that an import did not carry over as it stood. It never holds a secret.
public struct ImportNote: Hashable, Sendable, CustomStringConvertible {
    /// What became of it.
    public enum Kind: String, Hashable, Sendable {
        /// It is not in what was written, and the tunnel may differ for it.
        case lost = "not carried over"
        /// It is there in another form.
        case changed = "changed"
        /// Somebody has to do something by hand.
        case manual = "to do"
        /// It means nothing here, and nobody will miss it.
        case idle = "no counterpart needed"
    }

    /// What became of it.
    public var kind: Kind
    /// Where it stands.
    public var place: ImportPlace
    /// What it says, without secrets: `leftfirewall = yes`.
    public var subject: String
    /// Why, or what to do: one clause.
    public var reason: String

    /// A note.
    public init(_ kind: Kind, _ place: ImportPlace, _ subject: String, _ reason: String) {
        self.kind = kind
        self.place = place
        self.subject = subject
        self.reason = reason
    }

    /// One line.
    public var description: String { "\(place): \(kind.rawValue): \(subject): \(reason)" }
}

/// What an import made of somebody else's configuration.
public struct ImportedConfiguration: Sendable {
    /// The same in swanctl.conf's syntax.
    public var document: SwanctlDocument
    /// What was not carried over as it stood, in the order of the files.
    public var notes: [ImportNote]

    /// Connections that were made.
    public var connectionCount: Int {
        document.sections.first { $0.name == "connections" }?.sections.count ?? 0
    }
}

/// A dialect that can be read.
public enum ImportDialect: String, Hashable, Sendable, CaseIterable {
    /// strongSwan's ipsec.conf and ipsec.secrets.
    case strongSwan = "strongswan"
    /// libreswan's (and Openswan's) ipsec.conf and ipsec.secrets.
    case libreswan
    /// Cisco IOS and IOS-XE.
    case ciscoIOS = "cisco-ios"
    /// What AWS gives out for a site-to-site connection, in its strongSwan or Openswan form.
    case aws

    /// What a file looks like; nil when it looks like none of them.
    public static func detect(_ octets: [UInt8]) -> ImportDialect? {
        let text = String(decoding: octets.prefix(1 << 20), as: UTF8.self).lowercased()
        let lines = text.split(whereSeparator: \.isNewline).map { Words.trimmed($0) }
        if text.contains("amazon web services") || text.contains("virtual private gateway id") { return .aws }
        if lines.contains(where: { line in ciscoBeginnings.contains { line.hasPrefix($0) } }) { return .ciscoIOS }
        guard
            lines.contains(where: {
                $0.hasPrefix("conn ") || $0.hasPrefix("config setup") || $0.hasPrefix("ca ") || $0.hasPrefix("conn\t")
            })
        else { return nil }
        let keys = Set(lines.compactMap { $0.split(separator: "=").first.map { Words.trimmed($0) } })
        return keys.isDisjoint(with: libreswanKeys) ? .strongSwan : .libreswan
    }

    private static let ciscoBeginnings = [
        "crypto ikev2 ", "crypto ipsec ", "crypto map ", "crypto isakmp ", "ip access-list extended ",
    ]

    /// Keys that strongSwan's ipsec.conf never had.
    private static let libreswanKeys: Set<String> = [
        "ikev2", "salifetime", "ike_lifetime", "leftsubnets", "rightsubnets", "phase2alg", "phase2", "protostack",
        "virtual-private", "ipsec-interface", "leftrsasigkey", "rightrsasigkey", "rightaddresspool", "leftaddresspool",
        "leftmodecfgclient", "vti-interface", "dumpdir", "overlapip", "encapsulation", "logfile", "narrowing",
    ]
}

/// Reads somebody else's configuration.
public enum ConfigurationImport {
    /// One file to read.
    public struct File: Sendable {
        /// Its name, for notes.
        public var name: String
        /// Its octets.
        public var octets: [UInt8]

        /// A file.
        public init(_ name: String, _ octets: [UInt8]) {
            self.name = name
            self.octets = octets
        }
    }

    /// What can be chosen.
    public struct Options: Sendable {
        /// Which of `left` and `right` is this gateway.
        public var local = LocalSide.left
        /// Whether connections that use IKEv1 are written as IKEv2 ones.
        public var raisesVersion = false

        /// The usual ones.
        public init() {}
    }

    /// Which end of an ipsec.conf is this gateway.
    public enum LocalSide: String, Sendable {
        /// The keys that begin with `left`.
        case left
        /// The keys that begin with `right`.
        case right
    }

    /// Reads a dialect: its configuration files, and its files of secrets where it keeps those apart.
    public static func read(
        _ dialect: ImportDialect, _ files: [File], secrets: [File] = [], options: Options = Options()
    ) -> ImportedConfiguration {
        var result: ImportedConfiguration
        switch dialect {
        case .strongSwan, .libreswan:
            var reading = IpsecConfImport(isLibreswan: dialect == .libreswan, options: options)
            result = reading.read(files, secrets: secrets)
        case .aws:
            var options = options
            options.raisesVersion = true
            var (configuration, keys, notes) = AWSSample.parts(of: files)
            keys += secrets
            var reading = IpsecConfImport(isLibreswan: false, options: options)
            reading.isFromAWS = true
            result = reading.read(configuration, secrets: keys)
            result.notes += notes
        case .ciscoIOS:
            var reading = CiscoImport()
            result = reading.read(files)
        }
        // What several connections inherit is noted once.
        var seen: Set<ImportNote> = []
        result.notes = result.notes.filter { seen.insert($0).inserted }.sorted { $0.place < $1.place }
        let lost = result.notes.filter { $0.kind != .idle }
        result.document.comments =
            ["Imported by `martlet import` from \(files.map(\.name).joined(separator: ", ")) (\(dialect.rawValue))."]
            + (lost.isEmpty ? [] : ["What differs from there:"]) + lost.map { "  \($0)" }
        return result
    }
}
