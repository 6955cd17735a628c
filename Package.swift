// swift-tools-version: 6.2
// Martlet: an IPsec VPN gateway. The floors are described in ARCHITECTURE.md; `ArchitectureTests` holds them.
import PackageDescription

/// Every target of ours is compiled the same way: strict memory safety, warnings are errors, imports say what they mean.
let strict: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func floor(_ name: String, _ dependencies: [Target.Dependency] = [], extra: [SwiftSetting] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict + extra)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

/// What of Swift's runtime `martlet-bench` counts.
#if arch(x86_64)
    let countedCalls = [
        "swift_retain", "swift_retain_n", "swift_bridgeObjectRetain", "swift_release", "swift_release_n",
        "swift_bridgeObjectRelease",
    ]
#else
    let countedCalls: [String] = []
#endif

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "martlet",
    products: [
        .executable(name: "martlet", targets: ["martlet"]),
        .library(name: "MartletIKE", targets: ["IKEv2Engine", "IKECore", "GatewayModel", "IKEMessages"]),
        .library(name: "MartletESP", targets: ["ESPEngine", "IPPackets"]),
        // Every library target: what the separate Fuzz package builds against.
        .library(
            name: "MartletParts",
            targets: [
                "WireFormat", "NetworkTypes", "Clockwork", "IPsecCrypto", "IKEMessages", "IPPackets", "ViciMessages",
                "GatewayModel", "StateRecords", "IKECore", "IKEv2Engine", "ESPEngine", "Trust", "EAPEngine", "RADIUS",
                "LinuxSystem",
                "UserspacePlane", "Fetching", "Serving",
                "SwanctlConfig", "Dialects",
                "Telemetry", "ViciServer", "Gateway", "SimulatedNetwork",
            ]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    ],
    targets: [
        // Alphabet
        .target(name: "CWipe"),
        floor("WireFormat", ["CWipe"], extra: [.enableExperimentalFeature("Lifetimes")]),
        floor("NetworkTypes"),
        floor("Clockwork"),

        // Grammar
        .target(
            name: "CIPsecCrypto",
            linkerSettings: ["crypto", "hogweed", "nettle", "gmp"].map { .linkedLibrary($0) }),
        floor(
            "IPsecCrypto",
            ["CIPsecCrypto", "WireFormat", "Clockwork", .product(name: "Crypto", package: "swift-crypto")]),
        floor("IKEMessages", ["WireFormat", "NetworkTypes", "Clockwork", "IPsecCrypto"]),
        .target(name: "CPackets"),
        floor("IPPackets", ["CPackets", "WireFormat", "NetworkTypes"]),
        floor("ViciMessages", ["WireFormat"]),

        // Thought
        floor("GatewayModel", ["WireFormat", "NetworkTypes", "Clockwork", "IPsecCrypto"]),
        floor("StateRecords", ["WireFormat", "NetworkTypes", "Clockwork", "IPsecCrypto", "GatewayModel"]),
        floor("IKECore", ["WireFormat", "NetworkTypes", "Clockwork", "IPsecCrypto", "IKEMessages", "GatewayModel"]),
        floor(
            "IKEv2Engine",
            [
                "WireFormat", "NetworkTypes", "Clockwork", "IPsecCrypto", "IKEMessages", "GatewayModel", "IKECore",
                "StateRecords",
            ]),
        .target(name: "CDeflate", linkerSettings: [.linkedLibrary("z")]),
        floor(
            "ESPEngine",
            [
                "CDeflate", "WireFormat", "NetworkTypes", "Clockwork", "IPsecCrypto", "IPPackets", "GatewayModel",
                "StateRecords",
            ]),

        // Other programs' configurations: read into swanctl.conf, written for the other end of a tunnel
        floor("Dialects", ["WireFormat", "NetworkTypes", "Clockwork", "IPsecCrypto", "GatewayModel"]),

        // On the edge of Thought: libcrypto's X.509, no input or output of its own
        .target(name: "CTrust", linkerSettings: [.linkedLibrary("crypto"), .linkedLibrary("ssl")]),
        floor("Trust", ["CTrust", "WireFormat", "NetworkTypes", "IPsecCrypto", "IKEMessages", "GatewayModel"]),

        // EAP: methods as state machines, TLS in them by way of Trust
        floor("EAPEngine", ["Trust", "WireFormat", "Clockwork", "IPsecCrypto", "GatewayModel"]),

        // A gateway as RADIUS servers see it: requests, sessions, and EAP that is carried to them
        floor(
            "RADIUS",
            [
                "EAPEngine", "IKECore", "StateRecords", "GatewayModel", "IPsecCrypto", "NetworkTypes", "Clockwork",
                "WireFormat",
            ]),

        // Hands
        .target(name: "CLinux"),
        floor("LinuxSystem", ["CLinux", "WireFormat", "NetworkTypes", "Clockwork"]),
        floor(
            "UserspacePlane",
            [
                "LinuxSystem", "ESPEngine", "IPPackets", "IPsecCrypto", "GatewayModel", "WireFormat", "NetworkTypes",
                "Clockwork", "StateRecords",
            ]),

        .target(name: "CFetch", linkerSettings: [.linkedLibrary("curl")]),
        floor("Fetching", ["CFetch", "LinuxSystem", "NetworkTypes", "Clockwork"]),

        .target(name: "CServe", linkerSettings: [.linkedLibrary("microhttpd")]),
        floor("Serving", ["CServe", "NetworkTypes"]),

        // House
        floor(
            "SwanctlConfig",
            ["Trust", "RADIUS", "GatewayModel", "IPsecCrypto", "NetworkTypes", "WireFormat", "Clockwork"]),
        floor("Telemetry", ["GatewayModel", "NetworkTypes", "Clockwork", "IPsecCrypto", "WireFormat"]),
        floor(
            "ViciServer",
            ["ViciMessages", "GatewayModel", "NetworkTypes", "Clockwork", "WireFormat", "LinuxSystem", "IPsecCrypto"]),
        floor(
            "Gateway",
            [
                "IKEv2Engine", "EAPEngine", "RADIUS", "IKECore", "IKEMessages", "GatewayModel", "IPsecCrypto", "Trust",
                "Fetching",
                "UserspacePlane",
                "ESPEngine", "IPPackets", "LinuxSystem", "SwanctlConfig", "ViciServer", "ViciMessages", "Telemetry",
                "NetworkTypes",
                "Clockwork", "WireFormat", "StateRecords",
            ]),

        // Doors
        .executableTarget(
            name: "martlet",
            dependencies: [
                "Gateway", "SwanctlConfig", "Dialects", "ViciServer", "ViciMessages", "Telemetry", "GatewayModel",
                "Trust", "LinuxSystem", "Serving",
                "UserspacePlane", "IKECore", "NetworkTypes", "Clockwork", "WireFormat", "IPsecCrypto", argumentParser,
            ],
            swiftSettings: strict),

        // Proof
        floor(
            "SimulatedNetwork",
            [
                "IKEv2Engine", "IKECore", "IKEMessages", "GatewayModel", "IPsecCrypto", "NetworkTypes", "Clockwork",
                "WireFormat", "StateRecords",
            ]),
        .executableTarget(
            name: "martlet-simulate",
            dependencies: ["SimulatedNetwork", "IKEv2Engine", "Clockwork", "WireFormat", argumentParser],
            path: "Sources/Simulate", swiftSettings: strict),
        .target(name: "CCount"),
        .executableTarget(
            name: "martlet-bench",
            dependencies: [
                "CCount",
                "SimulatedNetwork", "IKEv2Engine", "IKECore", "IKEMessages", "GatewayModel", "IPsecCrypto",
                "ESPEngine", "IPPackets", "NetworkTypes", "Clockwork", "WireFormat", "LinuxSystem", "UserspacePlane",
                argumentParser,
            ],
            path: "Sources/Bench", swiftSettings: strict,
            linkerSettings: [
                // Our own calls that count references go through CCount; they are asked for by name on amd64 only.
                .unsafeFlags(
                    countedCalls.flatMap { ["-Xlinker", "--wrap=\($0)"] })
            ]),

        // Tests
        tests("WireFormatTests", ["WireFormat"]),
        tests("NetworkTypesTests", ["NetworkTypes"]),
        tests("ClockworkTests", ["Clockwork"]),
        tests(
            "StateRecordsTests",
            ["StateRecords", "GatewayModel", "IPsecCrypto", "NetworkTypes", "Clockwork", "WireFormat"]),
        tests(
            "IPsecCryptoTests", ["IPsecCrypto", "WireFormat", "Clockwork"], resources: [.copy("Vectors")]),
        tests(
            "IKEMessagesTests", ["IKEMessages", "IPsecCrypto", "NetworkTypes", "WireFormat", "Clockwork"],
            resources: [.copy("Captures")]),
        tests(
            "ESPEngineTests",
            [
                "ESPEngine", "IPPackets", "IPsecCrypto", "GatewayModel", "NetworkTypes", "WireFormat", "Clockwork",
                "StateRecords",
            ],
            resources: [.copy("Vectors")]),
        tests("ViciMessagesTests", ["ViciMessages", "WireFormat"]),
        tests(
            "ViciServerTests",
            [
                "ViciServer", "ViciMessages", "SwanctlConfig", "LinuxSystem", "GatewayModel", "IPsecCrypto",
                "NetworkTypes", "Clockwork", "WireFormat",
            ]),
        tests(
            "SwanctlConfigTests",
            [
                "SwanctlConfig", "Trust", "RADIUS", "IKECore", "GatewayModel", "IPsecCrypto", "NetworkTypes",
                "Clockwork", "WireFormat",
            ]),
        tests(
            "DialectsTests",
            ["Dialects", "SwanctlConfig", "GatewayModel", "IPsecCrypto", "NetworkTypes", "Clockwork", "WireFormat"],
            resources: [.copy("Samples")]),
        tests(
            "IKEv2EngineTests",
            [
                "IKEv2Engine", "IKECore", "IKEMessages", "GatewayModel", "IPsecCrypto", "NetworkTypes", "Clockwork",
                "WireFormat", "SimulatedNetwork", "EAPEngine", "StateRecords",
            ]),
        tests(
            "TrustTests", ["Trust", "IKEMessages", "GatewayModel", "IPsecCrypto", "NetworkTypes", "WireFormat"],
            resources: [.copy("Vectors")]),
        tests(
            "EAPEngineTests", ["EAPEngine", "Trust", "GatewayModel", "IPsecCrypto", "Clockwork", "WireFormat"]),
        tests(
            "RADIUSTests",
            [
                "RADIUS", "EAPEngine", "IKECore", "StateRecords", "GatewayModel", "IPsecCrypto", "NetworkTypes",
                "Clockwork", "WireFormat",
            ]),
        tests("FetchingTests", ["Fetching", "LinuxSystem", "NetworkTypes", "Clockwork"]),
        tests("ServingTests", ["Serving", "Fetching", "NetworkTypes"]),
        tests("LinuxSystemTests", ["LinuxSystem", "NetworkTypes", "Clockwork", "WireFormat"]),
        tests(
            "UserspacePlaneTests",
            [
                "UserspacePlane", "ESPEngine", "IPPackets", "LinuxSystem", "GatewayModel", "IPsecCrypto",
                "NetworkTypes", "Clockwork", "WireFormat",
            ]),
        tests(
            "GatewayTests",
            [
                "Gateway", "EAPEngine", "RADIUS", "Fetching", "ViciServer", "ViciMessages", "Telemetry", "SwanctlConfig", "Trust",
                "IKEMessages", "GatewayModel", "LinuxSystem", "UserspacePlane", "IKECore", "StateRecords", "IPsecCrypto",
                "NetworkTypes", "Clockwork", "WireFormat",
            ]),
        tests(
            "TelemetryTests", ["Telemetry", "GatewayModel", "IPsecCrypto", "NetworkTypes", "Clockwork", "WireFormat"]),
        tests(
            "MartletTests",
            [
                "martlet", "Gateway", "SwanctlConfig", "Dialects", "Trust", "ViciServer", "ViciMessages", "LinuxSystem",
                "Telemetry", "GatewayModel", "IPsecCrypto", "NetworkTypes", "Clockwork", "WireFormat", argumentParser,
            ]),
        tests("ArchitectureTests", []),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu11
)
