import LinuxSystem
import Testing

@Suite struct FileGlobTests {
    @Test func findsFiles() throws {
        #expect(try FileGlob.paths("/proc/self/stat*").contains("/proc/self/status"))
        #expect(try FileGlob.paths("/proc/self/no-such-file-*").isEmpty)
    }
}
