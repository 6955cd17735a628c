public import GatewayModel
import WireFormat

/// What a configuration says, complete and consistent.
///
/// There is no half-loaded one: reading gives this value, or everything that is wrong.
public struct LoadedConfiguration: Sendable {
    /// The connections, in the order of the files.
    public var connections: [Connection]
    /// The secrets, in the order of the files.
    public var secrets: [Secret]
    /// Private keys and certificates.
    public var credentials: Credentials
    /// Authorities that have a section of their own, in the order of the files.
    public var authorities: [AuthoritySection]
    /// The pools of virtual addresses, in the order of the files.
    public var pools: [AddressPool]
    /// How the daemon behaves, whatever the connection.
    public var settings: DaemonSettings
    /// What is worth knowing: notes and warnings.
    public var warnings: [Diagnostic]
    /// The files that were read, in order.
    public var files: [String]

    /// Reads the file at `path` and all that it includes.
    public init(path: String, source: any FileSource) throws(ConfigurationErrors) {
        let diagnostics = DiagnosticCollector()
        let parser = Parser(path, source: source, diagnostics: diagnostics)
        diagnostics.isComplete = diagnostics.errors.isEmpty
        let directory = CertificateDirectory(source, beside: path, diagnostics: diagnostics)
        try self.init(parser.tree, directory, files: parser.files, diagnostics: diagnostics, isFragment: false)
        settings.revocation.settle(beside: path)
    }

    /// Reads settings that came without a file; `origin` stands in for its name in messages. What sections mean together
    /// is not looked at: they come one by one.
    public init(_ fragment: SettingsFragment, from origin: String) throws(ConfigurationErrors) {
        let writer = FragmentWriter(fragment, origin: origin)
        let diagnostics = DiagnosticCollector()
        let directory = CertificateDirectory(writer, beside: origin, diagnostics: diagnostics)
        try self.init(writer.tree, directory, files: [], diagnostics: diagnostics, isFragment: true)
    }

    private init(
        _ tree: SettingsTree, _ directory: CertificateDirectory, files: [String], diagnostics: DiagnosticCollector,
        isFragment: Bool
    ) throws(ConfigurationErrors) {
        let resolver = SettingsResolver(tree, diagnostics: diagnostics)
        var builder = ConfigurationBuilder(resolver, directory, diagnostics: diagnostics)
        builder.reviewsWhole = !isFragment
        (connections, secrets, pools) = builder.build()
        credentials = directory.credentials
        authorities = builder.authorities
        settings = builder.settings
        self.files = files
        warnings = diagnostics.warnings
        guard diagnostics.errors.isEmpty else {
            throw ConfigurationErrors(errors: diagnostics.errors, warnings: diagnostics.warnings)
        }
    }

    /// Nothing at all.
    public init() {
        connections = []
        secrets = []
        pools = []
        warnings = []
        files = []
        settings = DaemonSettings()
        credentials = Credentials()
        authorities = []
    }

    /// Adds what another one holds, at the end.
    public mutating func append(_ other: LoadedConfiguration) {
        connections += other.connections
        secrets += other.secrets
        credentials.append(other.credentials)
        pools += other.pools
        authorities += other.authorities
        credentials.append(authorities: other.authorities)
    }

    /// Forgets authorities that have a section of their own, by name.
    public mutating func forgetAuthorities(_ names: Set<String>) {
        let gone = authorities.filter { names.contains($0.name) }.map(\.certificate)
        authorities.removeAll { names.contains($0.name) }
        let kept = authorities.map(\.certificate)
        credentials.authorities.removeAll { gone.contains($0) && !kept.contains($0) }
    }
}

extension LoadedConfiguration {
    /// The connections, each of which knows whether there are post-quantum preshared keys that a peer may name.
    public var connectionsWithKeys: [Connection] {
        let knowsPPKs = secrets.contains { $0.kind == .ppk }
        return connections.map { connection in
            var connection = connection
            connection.knowsPPKs = knowsPPKs
            return connection
        }
    }
}

/// Makes connections and secrets from the tree of settings, and looks at what they mean together.
///
/// It owns the top of the tree and the rules that span sections.
struct ConfigurationBuilder {
    private let resolver: SettingsResolver
    private let directory: CertificateDirectory
    private let diagnostics: DiagnosticCollector
    /// Whether what sections mean together is looked at.
    var reviewsWhole = true
    /// How the daemon behaves.
    private(set) var settings = DaemonSettings()
    /// Authorities with sections of their own.
    private(set) var authorities: [AuthoritySection] = []

    init(_ resolver: SettingsResolver, _ directory: CertificateDirectory, diagnostics: DiagnosticCollector) {
        self.resolver = resolver
        self.directory = directory
        self.diagnostics = diagnostics
    }

    mutating func build() -> (connections: [Connection], secrets: [Secret], pools: [AddressPool]) {
        var root = SectionReader(resolver.root, known: KnownKeys.root, path: "", diagnostics: diagnostics)
        var secrets: [Secret] = []
        var passwords: [CertificateDirectory.Password] = []
        if var section = root.section("secrets") { (secrets, passwords) = SecretReader.secrets(&section) }
        directory.load(passwords: passwords)
        if var section = root.section("authorities") {
            for var reader in section.sections("<name>") {
                if let authority = AuthoritySection(&reader, directory) { authorities.append(authority) }
            }
            section.finish()
        }
        var connections: [Connection] = []
        var locations: [SourceLocation] = []
        if var section = root.section("connections") {
            for reader in section.sections("<conn>") {
                var connectionReader = ConnectionReader(reader, directory)
                connections.append(connectionReader.connection())
                locations.append(reader.view.location)
            }
            section.finish()
        }
        if reviewsWhole { reviewKeys(connections, locations, secrets) }
        var pools: [AddressPool] = []
        var poolLocations: [SourceLocation] = []
        if var section = root.section("pools") {
            for reader in section.sections("<name>") {
                var poolReader = PoolReader(reader)
                guard let pool = poolReader.pool() else { continue }
                pools.append(pool)
                poolLocations.append(reader.view.location)
            }
            section.finish()
        }
        settings = DaemonSettingsReader.settings(&root)
        settings.apply(to: &connections)
        finish(root)
        if diagnostics.errors.isEmpty, !reviewsWhole {
            // Who comes alone is looked at alone.
            for (connection, location) in zip(connections, locations) where !connection.isPolicyOnly {
                reviewStart(connection, location)
                UnwiseSettings(diagnostics: diagnostics).review(connection, location)
            }
        }
        // With mistakes in it, what sections mean together would only confuse.
        if diagnostics.errors.isEmpty, reviewsWhole {
            review(connections, locations, secrets)
            PoolReader.review(connections, locations, pools, poolLocations, diagnostics)
            RADIUSReader.review(connections, locations, settings.radius, diagnostics)
            InterfaceSyntax.review(connections, locations, diagnostics)
        }
        return (connections, secrets, pools)
    }

    /// Which connections ask for a post-quantum preshared key that is not there.
    private func reviewKeys(_ connections: [Connection], _ locations: [SourceLocation], _ secrets: [Secret]) {
        let knowsAny = secrets.contains { $0.kind == .ppk }
        for (connection, location) in zip(connections, locations) {
            if let identity = connection.ppkIdentity, secrets.postQuantumKey(identity.data) == nil {
                diagnostics.warning(
                    location, "connection '\(connection.name)' has no post-quantum preshared key '\(identity)'",
                    remedy: "add secrets { ppk-\(connection.name) { id = \(identity) secret = … } }")
            } else if connection.ppkRequired, !knowsAny {
                diagnostics.warning(
                    location,
                    "connection '\(connection.name)' demands a post-quantum preshared key, and there"
                        + " is none", remedy: "add secrets { ppk-… { id = … secret = … } }")
            }
        }
    }

    /// Unknown sections at the top are there to be inherited from: all right when somebody does.
    private func finish(_ root: SectionReader) {
        for section in resolver.root.sections where KnownKeys.root.section(section.name) == nil {
            if resolver.isReferenced(section.name) { continue }
            if DaemonSettingsReader.sections.contains(section.name)
                || DaemonSettingsReader.foreign.contains(section.name)
            {
                continue
            }
            if let meant = KnownKeys.root.suggestion(for: section.name, isSection: true) {
                diagnostics.unknown(
                    section.location, "unknown section '\(section.name)'", remedy: "did you mean '\(meant)'?")
            } else {
                let meant = EditDistance.nearest(to: section.name, among: DaemonSettingsReader.sections)
                diagnostics.warning(
                    section.location, "section '\(section.name)' is used by nobody",
                    remedy: meant.map { "did you mean '\($0)'?" }
                        ?? "inherit from it with 'name : \(section.name) { }', or remove it")
            }
        }
        root.finish(sparesUnknownSections: true)
    }

    // MARK: What sections mean together

    private func review(_ connections: [Connection], _ locations: [SourceLocation], _ secrets: [Secret]) {
        // By secret (its place in the list), the peers that it is the key of.
        var peers: [[Identity]] = Array(repeating: [], count: secrets.count)
        let tunnels = CloudflareTunnels(connections)
        for (connection, location) in zip(connections, locations) {
            if connection.isPolicyOnly { continue }
            reviewStart(connection, location)
            UnwiseSettings(diagnostics: diagnostics).review(connection, location)
            reviewProfile(connection, location, tunnels)
            let remotes = remoteIdentities(connection)
            let locals = localIdentities(connection)
            if case .exactly? = connection.remote.identity {
            } else if remotes.isEmpty, connection.remote.method == .sharedKey {
                diagnostics.warning(
                    location, "connection '\(connection.name)' lets in everybody who has a secret that fits",
                    remedy: "name the peer with remote { id = … }, or give it one address in remote_addrs")
            }
            // Where an end's identity is its address and that is not known yet, there is nothing to compare.
            guard connection.local.method == .sharedKey || connection.remote.method == .sharedKey, !remotes.isEmpty,
                !locals.isEmpty
            else { continue }
            for remote in remotes {
                let fitting = locals.compactMap { local in bestSecret(secrets, local, remote) }.first
                if let fitting {
                    reviewSecret(secrets[fitting], of: connection)
                    if !peers[fitting].contains(remote) { peers[fitting].append(remote) }
                } else {
                    diagnostics.warning(
                        location, "connection '\(connection.name)' has no secret for '\(remote)'",
                        remedy: "add secrets { ike-\(connection.name) { id = \(remote) secret = … } }")
                }
            }
        }
        for (secret, owners) in zip(secrets, peers) where owners.count > 1 {
            let names = owners.prefix(5).map { "'\($0)'" }.joined(separator: ", ")
            diagnostics.warning(
                secret.location,
                "secrets.\(secret.name) is the key of \(owners.count) peers (\(names)): each can pose as"
                    + " the others", remedy: "give each peer a secret of its own")
        }
        reviewRepetitions(secrets)
    }

    /// One key under several names is no better than one for all of them.
    private func reviewRepetitions(_ secrets: [Secret]) {
        var known: [Int: [Secret]] = [:]
        for secret in secrets where secret.kind == .ike {
            var hasher = Hasher()
            secret.value.withSpan { octets in for index in octets.indices { hasher.combine(octets[index]) } }
            let place = hasher.finalize()
            if let first = known[place]?.first(where: { $0.value == secret.value }) {
                diagnostics.warning(
                    secret.location,
                    "secrets.\(secret.name) and secrets.\(first.name) are the same key: who has one can"
                        + " pose as the other's peers", remedy: "give each peer a secret of its own")
            } else {
                known[place, default: []].append(secret)
            }
        }
    }

    private func bestSecret(_ secrets: [Secret], _ local: Identity, _ remote: Identity) -> Int? {
        var best: (fit: Int, index: Int)?
        for (index, secret) in secrets.enumerated() where secret.kind == .ike {
            let fit = secret.fit(local: local, remote: remote)
            if fit > best?.fit ?? 0 { best = (fit, index) }
        }
        return best?.index
    }

    /// Who the peer will be, as far as the configuration says.
    private func remoteIdentities(_ connection: Connection) -> [Identity] {
        switch connection.remote.identity {
        case .exactly(let identity)?: [identity]
        case .suffix?, .distinguishedName?: []
        case .any?, nil: connection.remoteAddresses.compactMap(\.single).map { Identity($0) }
        }
    }

    private func localIdentities(_ connection: Connection) -> [Identity] {
        connection.local.identity.map { [$0] } ?? connection.localAddresses.compactMap(\.single).map { Identity($0) }
    }

    /// Cloudflare tells tunnels by addresses only where these differ.
    private func reviewProfile(_ connection: Connection, _ location: SourceLocation, _ tunnels: CloudflareTunnels) {
        guard let found = tunnels.violation(of: connection) else { return }
        diagnostics.error(
            location, "connection '\(connection.name)', \(found.key): \(found.message)", remedy: found.remedy)
    }

    /// What is wrong with the secret of a connection.
    private func reviewSecret(_ secret: Secret, of connection: Connection) {
        let profile = PeerProfile.all.first { $0.name == connection.profile }
        guard let problem = profile?.secretRule?(secret.value) else { return }
        diagnostics.error(
            secret.location, "secrets.\(secret.name) of connection '\(connection.name)': \(problem)",
            remedy: "make another one for both sides, for example a letter with the output of: openssl rand -hex 24")
    }

    private func reviewStart(_ connection: Connection, _ location: SourceLocation) {
        let isReachable = connection.remoteAddresses.contains { pattern in
            if case .name = pattern { true } else { pattern.single != nil }
        }
        guard !isReachable else { return }
        // A trap keeps its networks closed until the peer comes.
        for child in connection.children where ![.none, .trap].contains(child.startAction) && child.shunt == nil {
            diagnostics.warning(
                location,
                "child '\(child.name)' of connection '\(connection.name)' is to start by itself, but there is no one"
                    + " address to start to", remedy: "name the peer's address in remote_addrs")
        }
    }
}
