import Foundation
import GatewayModel
import NetworkTypes
import Trust

/// A PowerShell script that makes the VPN connection of Windows 10 and 11.
///
/// It owns the script's text. Everything that comes from the configuration is quoted as PowerShell quotes literals, so
/// that no name becomes a command.
struct WindowsScript {
    let facts: ClientFacts

    /// What Windows can do, by `Set-VpnConnectionIPsecConfiguration`.
    private static let abilities = ClientSuite.Abilities(
        ciphers: [.gcm(bits: 256), .gcm(bits: 128), .cbc(bits: 256), .cbc(bits: 128)],
        hashes: [.sha384, .sha256, .sha1], groups: [20, 19, 14, 2])

    /// The script.
    func text() throws -> String {
        guard facts.proof != .sharedKey else {
            throw CommandFailure(
                "Windows' client knows no shared keys in IKEv2: give '\(facts.connection.name)' a certificate, and clients "
                    + "certificates or EAP.")
        }
        guard let ike = ClientSuite.best(facts.connection.proposals, Self.abilities),
            let child = ClientSuite.best(facts.child.proposals, Self.abilities), let group = ike.group
        else {
            throw CommandFailure(
                "None of the proposals of '\(facts.connection.name)' is one that Windows can do: write, for example, "
                    + "proposals = aes256-sha256-modp2048 and esp_proposals = aes256gcm16, or profile = windows.")
        }
        var lines = [
            "# Written by `martlet client-profile`, for \(Self.comment(facts.user)). Run it in PowerShell as an administrator:",
            "#   powershell -ExecutionPolicy Bypass -File this-file.ps1",
            "$ErrorActionPreference = 'Stop'",
            "$name = \(Self.quoted(facts.title))",
        ]
        for authority in facts.authorities {
            lines.append("")
            lines.append("# The authority: \(Self.comment(authority.name))")
            lines.append("$file = New-TemporaryFile")
            lines.append(
                "[IO.File]::WriteAllBytes($file, [Convert]::FromBase64String(\(Self.quoted(Self.base64(authority.der)))))"
            )
            lines.append("Import-Certificate -FilePath $file -CertStoreLocation Cert:\\LocalMachine\\Root | Out-Null")
            lines.append("Remove-Item $file")
        }
        if let container = facts.container { lines += importing(container) }
        lines.append("")
        lines.append("Remove-VpnConnection -AllUserConnection -Name $name -Force -ErrorAction SilentlyContinue")
        lines.append(connection)
        lines.append(
            "Set-VpnConnectionIPsecConfiguration -AllUserConnection -ConnectionName $name -Force `\n"
                + "    -EncryptionMethod \(Self.cipher(ike)) -IntegrityCheckMethod \(Self.hash(ike)) "
                + "-DHGroup \(Self.group(group)) `\n"
                + "    -CipherTransformConstants \(Self.transform(child)) "
                + "-AuthenticationTransformConstants \(Self.authentication(child)) -PfsGroup None")
        for network in facts.networks {
            lines.append(
                "Add-VpnConnectionRoute -AllUserConnection -ConnectionName $name "
                    + "-DestinationPrefix \(Self.quoted(network.description))")
        }
        lines.append("Write-Host \"'$name' is there. Connect: rasdial '$name', or by the network icon.\"")
        // Windows reads scripts without a byte order mark in the code page of the machine.
        return "\u{FEFF}" + lines.joined(separator: "\r\n").replacingOccurrences(of: "`\n", with: "`\r\n") + "\r\n"
    }

    /// The connection itself.
    private var connection: String {
        let split = facts.networks.isEmpty ? "" : " -SplitTunneling"
        let common =
            "Add-VpnConnection -AllUserConnection -Name $name -ServerAddress \(Self.quoted(facts.server)) `\n"
            + "    -TunnelType Ikev2 -EncryptionLevel Required\(split) -Force `\n    "
        switch facts.proof {
        case .certificate: return common + "-AuthenticationMethod MachineCertificate"
        case .eapCertificate:
            return "$eap = New-EapConfiguration -Tls -UserCertificate\r\n" + common
                + "-AuthenticationMethod Eap -EapConfigXmlStream $eap.EapConfigXmlStream"
        default:
            // Without parameters it is EAP-MSCHAPv2.
            return "$eap = New-EapConfiguration\r\n" + common
                + "-AuthenticationMethod Eap -EapConfigXmlStream $eap.EapConfigXmlStream -RememberCredential"
        }
    }

    private func importing(_ container: [UInt8]) -> [String] {
        let store = facts.proof == .certificate ? "LocalMachine" : "CurrentUser"
        return [
            "", "# The client's own key and certificate; its password is asked for.", "$file = New-TemporaryFile",
            "[IO.File]::WriteAllBytes($file, [Convert]::FromBase64String(\(Self.quoted(Self.base64(container)))))",
            "$password = Read-Host -AsSecureString 'Password of the certificate'",
            "Import-PfxCertificate -FilePath $file -CertStoreLocation Cert:\\\(store)\\My -Password $password | Out-Null",
            "Remove-Item $file",
        ]
    }

    // MARK: Words

    /// A literal: nothing in it is looked at but the quote itself, of which PowerShell knows five.
    static func quoted(_ text: String) -> String {
        let quotes: Set<Character> = ["'", "\u{2018}", "\u{2019}", "\u{201A}", "\u{201B}"]
        return "'" + text.map { quotes.contains($0) ? "\($0)\($0)" : "\($0)" }.joined() + "'"
    }

    /// Text that stays in its comment.
    private static func comment(_ text: String) -> String { String(text.map { $0.isNewline ? " " : $0 }) }

    private static func base64(_ octets: [UInt8]) -> String { Data(octets).base64EncodedString() }

    private static func cipher(_ suite: ClientSuite) -> String {
        switch suite.cipher {
        case .gcm(let bits): "GCMAES\(bits)"
        case .cbc(let bits): "AES\(bits)"
        case .chacha20poly1305: "GCMAES256"
        }
    }

    private static func hash(_ suite: ClientSuite) -> String {
        switch suite.integrity ?? suite.prf {
        case .sha1: "SHA1"
        case .sha384, .sha512: "SHA384"
        default: "SHA256"
        }
    }

    private static func group(_ number: UInt16) -> String {
        switch number {
        case 20: "ECP384"
        case 19: "ECP256"
        case 14: "Group14"
        default: "Group2"
        }
    }

    private static func transform(_ suite: ClientSuite) -> String { cipher(suite) }

    private static func authentication(_ suite: ClientSuite) -> String {
        switch (suite.cipher, suite.integrity) {
        case (.gcm(let bits), _): "GCMAES\(bits)"
        case (_, .sha1): "SHA196"
        default: "SHA256128"
        }
    }
}
