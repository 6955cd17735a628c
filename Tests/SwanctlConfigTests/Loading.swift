import SwanctlConfig
import Testing

/// Loads `text` as `swanctl.conf` beside other files.
func load(_ text: String, _ others: [String: String] = [:]) throws(ConfigurationErrors) -> LoadedConfiguration {
    var files = others
    files["/etc/swanctl.conf"] = text
    return try LoadedConfiguration(path: "/etc/swanctl.conf", source: FilesInMemory(files))
}

/// The errors that `text` has, without the file's path; empty when it loads.
func errors(_ text: String, _ others: [String: String] = [:]) -> [String] {
    do {
        _ = try load(text, others)
        return []
    } catch {
        return error.errors.map { String($0.description.replacing("/etc/swanctl.conf:", with: "")) }
    }
}

/// The text of a connection `gw` with these lines in it and everything else as it should be.
func connection(_ lines: String, child: String = "", round: String = "") -> String {
    """
    connections {
        gw {
            remote_addrs = 192.0.2.2
            local { auth = psk
                id = moon.example.net
            }
            remote { auth = psk
                id = sun.example.net
                \(round)
            }
            children { net {
                \(child)
            } }
            \(lines)
        }
    }
    secrets {
        ike-sun {
            id = sun.example.net
            secret = "0123456789abcdef"
        }
    }
    """
}
