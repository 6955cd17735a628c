/// Which target stands on which floor, and what the lower floors do without.
///
/// It owns the tables of the architecture, and nothing that reads a file.
struct FloorPlan {
    /// From the ground up. Imports only go down; beside each other only as the manifest declares.
    enum Floor: Int, Comparable {
        case alphabet, grammar, thought, hands, house, doors
        static func < (left: Floor, right: Floor) -> Bool { left.rawValue < right.rawValue }
    }

    var floors: [String: Floor]
    /// Targets above the line that hold to the rules below it all the same.
    var alsoPure: Set<String>
    /// C targets, and who may import each.
    var shims: [String: Set<String>]

    /// Whether the target lives without clock, socket, file, thread, async, logger and Foundation.
    func isPure(_ target: String) -> Bool {
        if alsoPure.contains(target) { return true }
        return floors[target].map { $0 <= .thought } ?? false
    }

    /// Martlet's own.
    static let martlet = FloorPlan(
        floors: [
            "CWipe": .alphabet, "WireFormat": .alphabet, "NetworkTypes": .alphabet, "Clockwork": .alphabet,
            "CIPsecCrypto": .grammar, "IPsecCrypto": .grammar, "IKEMessages": .grammar, "IPPackets": .grammar,
            "CPackets": .grammar,
            "ViciMessages": .grammar,
            "GatewayModel": .thought, "StateRecords": .thought, "IKECore": .thought, "IKEv2Engine": .thought,
            "ESPEngine": .thought,
            "CDeflate": .thought, "CTrust": .thought, "Trust": .thought, "EAPEngine": .thought, "Dialects": .thought,
            "RADIUS": .thought,
            "CLinux": .hands, "LinuxSystem": .hands, "UserspacePlane": .hands, "SimulatedNetwork": .hands,
            "CFetch": .hands, "Fetching": .hands, "CServe": .hands, "Serving": .hands,
            "SwanctlConfig": .house, "Telemetry": .house, "ViciServer": .house, "Gateway": .house,
            "CCount": .doors, "martlet": .doors, "martlet-simulate": .doors, "martlet-bench": .doors,
        ],
        // A simulation that looks at a clock or draws its own randomness cannot be repeated from its seed.
        alsoPure: ["SimulatedNetwork"],
        shims: [
            "CWipe": ["WireFormat"],
            "CIPsecCrypto": ["IPsecCrypto", "ESPEngine"],
            "CPackets": ["IPPackets"],
            "CDeflate": ["ESPEngine"],
            "CCount": ["martlet-bench"],
            "CTrust": ["Trust"],
            "CFetch": ["Fetching"],
            "CServe": ["Serving"],
            "CLinux": ["LinuxSystem", "UserspacePlane"],
        ])

    /// Modules of the toolchain: no declaration is needed for them above the line, and none helps below it.
    static let toolchain: Set<String> = [
        "Swift", "Foundation", "FoundationEssentials", "FoundationNetworking", "Glibc", "Musl", "Dispatch",
        "Synchronization",
        "Testing", "Observation", "RegexBuilder", "XCTest", "Distributed",
    ]

    /// The toolchain's modules that the lower floors may import: `Synchronization` for its atomics (`Mutex` is a word
    /// of the list below).
    static let harmless: Set<String> = ["Swift", "Synchronization"]

    /// Words that have no place below the line, and what each would bring in.
    static var forbidden: [(what: String, pattern: Regex<Substring>)] {
        // Unicode's own word boundary lies nowhere in "FileManager.default"; the simple one does.
        words.map { ($0.what, $0.pattern.wordBoundaryKind(.simple)) }
    }

    private static var words: [(what: String, pattern: Regex<Substring>)] {
        [
            ("a task", #/\bTask\s*(?:[.{(<]|$)/#),
            ("async", #/\basync\b/#),
            ("await", #/\bawait\b/#),
            ("an actor", #/\bactor\s+[A-Z]\w*/#),
            ("a thread", #/\bThread\b|\bpthread_\w+/#),
            ("a lock", #/\bMutex\s*[<(]|\bNSLock\b|\bDispatchQueue\b/#),
            ("a date", #/\bDate\s*\(/#),
            ("a clock", #/\b(?:ContinuousClock|SuspendingClock|DispatchTime|clock_gettime|gettimeofday)\b/#),
            ("a file", #/\b(?:FileManager|FileHandle|fopen)\b/#),
            ("a socket", #/(?:^|[^.\w])socket\s*\(/#),
            ("unseeded randomness", #/\bSystemRandomNumberGenerator\b|\barc4random\w*|\bgetrandom\b/#),
            ("unseeded randomness", #/\.(?:random|randomElement|shuffle|shuffled)\s*\(/#),
            ("a line of output", #/(?:^|[^.\w])(?:print|debugPrint|dump)\s*\(/#),
            ("the environment", #/\bgetenv\b|\bProcessInfo\b|\bCommandLine\b/#),
        ]
    }
}
