import LinuxSystem
import NetworkTypes
import Testing

/// Other programs, and names.
@Suite struct ChildProcessTests {
    @Test func theStatusComesBack() throws {
        #expect(try ChildProcess.run(["/bin/sh", "-c", "exit 7"], milliseconds: 10_000) == 7)
        #expect(try ChildProcess.run(["/bin/sh", "-c", "kill -9 $$"], milliseconds: 10_000) == 137)
    }

    @Test func whatItSaysIsHeard() throws {
        let (status, said) = try ChildProcess.hear(
            ["/bin/sh", "-c", "echo nothing; echo why >&2; exit 3"], milliseconds: 10_000)
        #expect(status == 3 && said == "why\n")
        // More than there is room for, and more than a pipe holds: nobody waits.
        let long = try ChildProcess.hear(
            ["/bin/sh", "-c", "head -c 200000 /dev/zero | tr '\\0' x >&2"], milliseconds: 10_000)
        #expect(long.status == 0 && long.said == String(repeating: "x", count: 4096))
    }

    @Test func itReadsItsInputAndNothingElse() throws {
        let script = "read first; read second && test \"$first$second\" = onetwo && ! read third"
        #expect(
            try ChildProcess.run(["/bin/sh", "-c", script], input: Array("one\ntwo\n".utf8), milliseconds: 10_000) == 0)
    }

    /// An argument is never a command.
    @Test func argumentsAreNotParsed() throws {
        let words = ["a b", "$(exit 9)", "'\""]
        let status = try ChildProcess.run(
            ["/bin/sh", "-c", "test $# = 3 && test \"$2\" = '$(exit 9)'", "sh"] + words, milliseconds: 10_000)
        #expect(status == 0)
    }

    @Test func whatTakesTooLongIsKilledWithItsChildren() throws {
        let path = "/tmp/martlet-child-\(ProcessInformation.identifier)"
        defer { _ = try? RawFile.remove(path) }
        #expect(throws: SystemError.self) {
            try ChildProcess.run(["/bin/sh", "-c", "(sleep 2; echo alive > \(path)) & wait"], milliseconds: 100)
        }
        #expect(try ChildProcess.run(["/bin/sleep", "2.3"], milliseconds: 10_000) == 0)
        #expect(!RawFile.exists(path))
    }

    @Test func whatIsNotThereIsAnError() {
        #expect(throws: SystemError.self) { try ChildProcess.run(["/nowhere/at-all"], milliseconds: 1000) }
        #expect(throws: SystemError.self) { try ChildProcess.run([], milliseconds: 1000) }
        #expect(throws: SystemError.self) { try ChildProcess.run(["/bin/true", "a\u{0}b"], milliseconds: 1000) }
        #expect(throws: SystemError.self) {
            try ChildProcess.run(
                ["/bin/cat"], input: [UInt8](repeating: 0, count: ChildProcess.largestInput + 1), milliseconds: 1000)
        }
    }

    /// `localhost` is in every machine's hosts file; `.invalid` never is anywhere (RFC 6761 §6.4).
    @Test func names() throws {
        let found = try NameLookup.addresses(of: "localhost")
        #expect(found.contains(.loopback(.v4)) || found.contains(.loopback(.v6)))
        #expect(try NameLookup.addresses(of: "192.0.2.7") == [IPAddress(v4: 0xc000_0207)])
        #expect(throws: NameLookup.Failure.self) { try NameLookup.addresses(of: "nobody.invalid") }
        #expect(throws: NameLookup.Failure.self) { try NameLookup.addresses(of: "a\u{0}b") }
    }
}
