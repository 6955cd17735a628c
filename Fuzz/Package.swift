// swift-tools-version: 6.2
// Fuzz targets for libFuzzer: `./run SECONDS [TARGET…]` builds and runs them. A package of its own, as the executables
// have no `main` unless they are linked with the fuzzer.
import PackageDescription

let strict: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let parts = Target.Dependency.product(name: "MartletParts", package: "martlet")

func fuzzer(_ name: String) -> Target {
    .executableTarget(
        name: name, dependencies: ["FuzzSupport", parts], swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])])
}

let package = Package(
    name: "martlet-fuzz",
    dependencies: [.package(name: "martlet", path: "..")],
    targets: [
        .target(name: "FuzzSupport", dependencies: [parts], swiftSettings: strict),
        fuzzer("FuzzMessage"),
        fuzzer("FuzzOpened"),
        fuzzer("FuzzSession"),
        fuzzer("FuzzVici"),
        fuzzer("FuzzSwanctl"),
        fuzzer("FuzzESP"),
        fuzzer("FuzzCertificate"),
        fuzzer("FuzzContainer"),
        fuzzer("FuzzOCSP"),
        fuzzer("FuzzEAP"),
        fuzzer("FuzzTunnel"),
        fuzzer("FuzzRADIUS"),
        fuzzer("FuzzDialects"),
        fuzzer("FuzzHandover"),
    ],
    swiftLanguageModes: [.v6]
)
