import Testing
import ViciMessages

@testable import martlet

/// What a name on the command line stands for.
@Suite struct NamedTests {
    private static func sa(_ connection: String, _ state: String, _ children: [(String, String)])
        -> StatusReport.IKESAStatus
    {
        .init(
            id: 1, connection: connection, state: state, local: "", remote: "", initiator: true,
            children: children.enumerated().map { number, child in
                .init(
                    id: number, name: child.0, state: child.1, local_ts: [], remote_ts: [], spi_in: "", spi_out: "",
                    bytes_in: 0, packets_in: 0, bytes_out: 0, packets_out: 0)
            })
    }

    private static func report(
        _ sas: [StatusReport.IKESAStatus], children: [String] = ["net", "lab"]
    ) -> StatusReport {
        StatusReport(
            connections: [
                .init(
                    name: "hq", state: "up", remote_addrs: [], children: children,
                    ike_sas: sas.filter { $0.connection == "hq" })
            ], other_ike_sas: sas.filter { $0.connection != "hq" }, refusals: [])
    }

    private static let both = [("net", "INSTALLED"), ("lab", "INSTALLED")]

    /// Children of an IKE SA that is being deleted are not up any more.
    @Test(arguments: [("ESTABLISHED", true), ("REKEYED", true), ("DELETING", false), ("DESTROYING", false)])
    func whatIsBeingDeletedIsNotUp(_ state: String, _ isUp: Bool) throws {
        let report = Self.report([Self.sa("hq", state, Self.both)])
        #expect(try Named("hq", report).isUp(report) == isUp)
        #expect(try Named("net", report).isUp(report) == isUp)
    }

    @Test func theNewIKESACountsBesideTheOldOne() throws {
        let report = Self.report([
            Self.sa("hq", "DELETING", Self.both), Self.sa("hq", "ESTABLISHED", [("net", "INSTALLED")]),
        ])
        #expect(try Named("net", report).isUp(report))
        #expect(try !Named("lab", report).isUp(report) && !Named("hq", report).isUp(report))
    }

    @Test func whatIsNoLongerConfiguredCanBeNamed() throws {
        let report = Self.report([
            Self.sa("old", "ESTABLISHED", [("site", "INSTALLED")]),
            Self.sa("hq", "ESTABLISHED", [("gone", "INSTALLED")]),
        ])
        func message(_ name: String) throws -> String { try Named(anyOf: name, report).arguments.description }
        #expect(try message("old") == "{ike=old}" && message("site") == "{child=site ike=old}")
        #expect(try message("gone") == "{child=gone ike=hq}" && message("net") == "{child=net ike=hq}")
        let failure = try #require(throws: CommandFailure.self) { try Named("old", report) }
        #expect(failure.description.contains("no longer configured"))
        let unknown = try #require(throws: CommandFailure.self) { try Named(anyOf: "nosuch", report) }
        #expect(unknown.description.hasSuffix("There are: 'hq', 'old'."))
        #expect(throws: Never.self) { try report.requireConnection("old") }
        #expect(
            try #require(throws: CommandFailure.self) { try report.requireConnection("nosuch") }.description
                == "No connection is called 'nosuch'. There are: 'hq', 'old'.")
        #expect(throws: CommandFailure.self) { try report.requireConnection("net") }
    }

    @Test func onlyChildrenWithSAsAreRekeyed() throws {
        func targets(_ sas: [StatusReport.IKESAStatus], _ name: String = "hq") throws -> [String] {
            let report = Self.report(sas)
            return try Rekey.targets(try Named(anyOf: name, report), report, children: true).map(\.description)
        }
        #expect(
            try targets([Self.sa("hq", "ESTABLISHED", [("lab", "INSTALLED"), ("lab", "REKEYED")])])
                == ["{child=lab ike=hq}"])
        #expect(try targets([Self.sa("old", "ESTABLISHED", [("x", "INSTALLED")])], "old") == ["{child=x ike=old}"])
        for sas in [[], [Self.sa("hq", "ESTABLISHED", [])], [Self.sa("hq", "DELETING", Self.both)]] {
            let failure = try #require(throws: CommandFailure.self) { try targets(sas) }
            #expect(failure.description.contains("No child of 'hq' is up"))
        }
        #expect(try targets([], "net") == ["{child=net ike=hq}"])
    }
}
