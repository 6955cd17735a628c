import Foundation
import Gateway
import GatewayModel
import LinuxSystem
import NetworkTypes
import SwanctlConfig

/// The files that `init`, `invite` and `join` write: one main file, and one for each tunnel beside it.
///
/// It owns their text. It reads them by the same readers as the gateway, and writes only what these accept.
struct SiteFiles {
    /// The main file.
    let path: String

    /// Strong, and what every current gateway can do.
    private static let ike = "aes256gcm16-prfsha384-ecp384, aes128gcm16-prfsha256-x25519"
    private static let esp = "aes256gcm16-ecp384, aes128gcm16-x25519"

    /// What its certificates are made and kept by.
    var authority: SiteAuthority { SiteAuthority(directory: directory) }

    private var directory: String { URL(fileURLWithPath: path).deletingLastPathComponent().path }

    /// The file of one tunnel.
    func tunnelPath(_ name: String) -> String { directory + "/conf.d/\(name).conf" }

    /// Whether there is a main file.
    var exists: Bool { FileManager.default.fileExists(atPath: path) }

    // MARK: Texts

    /// The main file of a site. `address` is one of its interfaces'; `elsewhere` one at which others reach it all the same.
    static func main(name: String, address: String?, elsewhere: String? = nil, networks: [String]) -> String {
        let own = address.map { "\n  local_addrs = \($0)" } ?? ""
        let outer = elsewhere.map { "\n\(elsewhereMark)\($0)" } ?? ""
        return """
            # Written by `martlet init`. The keys are swanctl.conf's; `martlet check` says whether it is right.
            # Every tunnel in conf.d inherits what stands here.\(outer)
            site {\(own)
              version = 2
              proposals = \(ike)
              dpd_delay = 30s
              local {
                auth = psk
                id = \(name)
              }
              children {
                net {
                  local_ts = \(networks.joined(separator: ", "))
                  esp_proposals = \(esp)
                }
              }
            }
            include conf.d/*.conf

            """
    }

    private static let elsewhereMark = "# `martlet invite` tells others that we are reached at: "

    /// The address at which others reach us although no interface has it, as ``main(name:address:elsewhere:networks:)``
    /// noted it.
    var addressElsewhere: String? {
        guard let text = try? RawFile.readText(path) else { return nil }
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(Self.elsewhereMark) }
        return line.flatMap { IPAddress(String($0.dropFirst(Self.elsewhereMark.count)))?.description }
    }

    /// The main file of a site that only joins others.
    static let joining = """
        # Written by `martlet join`. The keys are swanctl.conf's; `martlet check` says whether it is right.
        include conf.d/*.conf

        """

    /// The inviting side's tunnel to a guest.
    static func invited(_ guest: String, networks: [String], gateway: String, key: String) -> String {
        """
        # Written by `martlet invite \(guest)`.
        connections {
          \(guest) : site {
            remote {
              auth = psk
              id = \(guest)
            }
            children {
              net {
                remote_ts = \(networks.joined(separator: ", "))
                # Nothing for there leaves in clear while the tunnel is down.
                start_action = trap
              }
            }
          }
        }
        secrets {
          ike-\(guest) {
            id-1 = \(gateway)
            id-2 = \(guest)
            secret = \(key)
          }
        }

        """
    }

    /// The same with certificates: each proves itself by one of our authority.
    func invited(_ guest: String, networks: [String], certifiedBy gateway: String) -> String {
        """
        # Written by `martlet invite \(guest) --certificate`.
        connections {
          \(guest) : site {
            local {
              auth = pubkey
              certs = \(gateway).pem
            }
            remote {
              auth = pubkey
              id = \(guest)
              cacerts = "\(authority.certificatePath(gateway))"
            }
            children {
              net {
                remote_ts = \(networks.joined(separator: ", "))
                # Nothing for there leaves in clear while the tunnel is down.
                start_action = trap
              }
            }
          }
        }

        """
    }

    /// How an invited one's certificate and key are named in its directories.
    static func label(_ invitation: Invitation) -> String { "\(invitation.gateway)-\(invitation.you)" }

    /// The invited side's tunnel, complete in itself: strongSwan can read it as well.
    func guest(_ invitation: Invitation) -> String {
        """
        connections {
          \(invitation.gateway) {
            version = 2
            remote_addrs = \(invitation.address)
            proposals = \(Self.ike)
            dpd_delay = 30s
            local {
              \(Self.proof(invitation, "certs = \(Self.label(invitation)).pem"))
              id = \(invitation.you)
            }
            remote {
              \(Self.proof(invitation, "cacerts = \"\(authority.certificatePath(invitation.gateway))\""))
              id = \(invitation.gateway)
            }
            children {
              net {
                local_ts = \(invitation.your_networks.joined(separator: ", "))
                remote_ts = \(invitation.networks.joined(separator: ", "))
                esp_proposals = \(Self.esp)
                start_action = start
                dpd_action = start
              }
            }
          }
        }
        \(invitation.credentials == nil ? Self.secret(invitation) : "")
        """
    }

    private static func proof(_ invitation: Invitation, _ certificate: String) -> String {
        invitation.credentials == nil ? "auth = psk" : "auth = pubkey\n      \(certificate)"
    }

    private static func secret(_ invitation: Invitation) -> String {
        """
        secrets {
          ike-\(invitation.gateway) {
            id-1 = \(invitation.gateway)
            id-2 = \(invitation.you)
            secret = 0x\(invitation.key)
          }
        }

        """
    }

    // MARK: Reading and writing

    /// What the gateway would load if `additions` (paths and texts) were there as well; refuses what it would not.
    func loaded(with additions: [(path: String, text: String)]) throws -> LoadedConfiguration {
        do { return try LoadedConfiguration(path: path, source: FilesWithAdditions(additions)) } catch {
            throw CommandFailure("Nothing was written: the configuration would have mistakes.\n\(error)")
        }
    }

    /// The same; refuses a main file that does not read `addition`.
    func loaded(including addition: (path: String, text: String)) throws -> LoadedConfiguration {
        let loaded = try loaded(with: [addition])
        guard loaded.files.contains(addition.path) else { throw includesNothing }
        return loaded
    }

    /// Why no tunnel would ever be loaded.
    var includesNothing: CommandFailure {
        CommandFailure(
            "Nothing was written: \(path) does not read the files in conf.d. Add this line at its end: include conf.d/*.conf"
        )
    }

    /// Writes files that nobody else may read.
    func write(_ files: [(path: String, text: String)]) throws {
        for file in files {
            let directory = URL(fileURLWithPath: file.path).deletingLastPathComponent().path
            do {
                try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
                try RawFile.write(file.path, Array(file.text.utf8), mode: try Self.mode(in: directory))
            } catch { throw CommandFailure("\(file.path) can't be written: \(error)") }
        }
    }

    /// A directory whose group its files inherit (the package's: the gateway's own) lets that group read; else nobody.
    private static func mode(in directory: String) throws -> UInt32 {
        let attributes = try FileManager.default.attributesOfItem(atPath: directory)
        let permissions = (attributes[.posixPermissions] as? NSNumber)?.uint32Value ?? 0
        return permissions & 0o2000 != 0 ? 0o640 : 0o600
    }

    /// A name that may be a file's, a section's and an identity.
    static func check(_ name: String) throws {
        let allowed = { (octet: UInt8) in
            switch octet {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        guard (1...63).contains(name.utf8.count), name.utf8.allSatisfy(allowed), !name.hasPrefix("-"), name != "site"
        else {
            throw ValidationFailure(
                "'\(name)' can't be a name here: letters, digits, hyphens and underscores, 63 at most, and not 'site'.")
        }
    }

    typealias ValidationFailure = CommandFailure
}

/// The disk's files and some that are not written yet.
struct FilesWithAdditions: FileSource {
    private let additions: [(path: String, text: String)]

    init(_ additions: [(path: String, text: String)]) { self.additions = additions }

    func contents(of path: String) throws(FileProblem) -> [UInt8] {
        if let addition = additions.first(where: { $0.path == path }) { return Array(addition.text.utf8) }
        return try DiskFiles().contents(of: path)
    }

    func glob(_ pattern: String) throws(FileProblem) -> [String] {
        func folder(_ path: String) -> Substring { path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex) }
        let fitting = additions.map(\.path).filter { path in
            folder(path) == folder(pattern)
                && (pattern.hasSuffix("/*") || pattern.hasSuffix("/*.conf") && path.hasSuffix(".conf"))
        }
        return Set(try DiskFiles().glob(pattern) + fitting).sorted()
    }
}
