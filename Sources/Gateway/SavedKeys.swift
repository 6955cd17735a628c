import GatewayModel
import IKECore
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import WireFormat

/// Gets the keys of SAs when they come into use.
protocol KeyReader: AnyObject {
    /// An IKE SA's. An IKE SA with several key exchanges has several sets, one after the other.
    func read(_ keys: ExposedKeys)
    /// Those of one direction of a Child SA.
    func read(_ association: SecurityAssociation)
}

/// The keys of all SAs as Wireshark takes them, in a directory that is a profile of Wireshark's:
/// `ikev2_decryption_table` with the keys that IKE SAs end up with, and `esp_sa`.
///
/// Wireshark takes one set of keys for an IKE SA. Where IKE_INTERMEDIATE exchanges give it one after the other, the keys
/// that the first such exchange was sent under are in `intermediate-1`, a profile as well, those of the second one in
/// `intermediate-2`, and so on: each is there as soon as it has keys.
///
/// It exists only when somebody asked for it and confirmed that it is insecure. It owns the files, which only their
/// owner may read; it keeps no key. A disk that does not take a line is told once, and stops nothing.
final class SavedKeys: KeyReader {
    private let directory: String
    private let profile: KeyProfile
    private let packets: Descriptor
    /// By number.
    private var earlier: [Int: KeyProfile] = [:]
    private let say: (String) -> Void
    private var hasFailed = false

    /// Opens the files, or makes them, and the directory as well. What is in them stays.
    init(in directory: String, say: @escaping (String) -> Void) throws(SystemError) {
        self.directory = directory
        self.say = say
        profile = try KeyProfile(at: directory, followsLink: true)
        packets = try RawFile.openAppending("\(directory)/esp_sa")
    }

    func read(_ keys: ExposedKeys) {
        do throws(SystemError) {
            let place = if let number = keys.intermediate { try intermediate(number) } else { profile }
            write(KeyLine.of(keys), to: place.messages)
        } catch { fail(error) }
    }

    func read(_ association: SecurityAssociation) {
        if let line = KeyLine.of(association) { write(line, to: packets) }
    }

    /// The profile for the IKE_INTERMEDIATE exchange of this number.
    private func intermediate(_ number: Int) throws(SystemError) -> KeyProfile {
        if let known = earlier[number] { return known }
        let place = "\(directory)/intermediate-\(number)"
        let made = try KeyProfile(at: place, followsLink: false)
        // Packets have the same keys in all profiles.
        try RawFile.link("\(place)/esp_sa", to: "../esp_sa")
        earlier[number] = made
        return made
    }

    private func write(_ line: String, to file: Descriptor) {
        do throws(SystemError) {
            var rest = Array((line + "\n").utf8)[...]
            while !rest.isEmpty, let count = try file.write(Array(rest)) { rest = rest.dropFirst(count) }
        } catch { fail(error) }
    }

    private func fail(_ error: SystemError) {
        if !hasFailed { say("keys can't be saved any more: \(error)") }
        hasFailed = true
    }
}

/// One line of Wireshark's tables.
///
/// It owns the names that Wireshark 4 gives to algorithms. What Wireshark has no name for becomes a comment without keys.
enum KeyLine {
    /// A line of `ikev2_decryption_table`: SPIs, SK_ei, SK_er, cipher, SK_ai, SK_ar, integrity.
    static func of(_ keys: ExposedKeys) -> String {
        let spis = "\(Hex.encode(keys.initiatorSPI)),\(Hex.encode(keys.responderSPI))"
        guard let encryption = messageCipher(keys.encryption), let integrity = messageIntegrity(keys.integrity) else {
            let names = [keys.encryption, keys.integrity].compactMap { $0?.displayNameWithKeyLength }
            return "# \(spis): Wireshark does not know \(names.joined(separator: "/"))"
        }
        return spis + "," + hex(keys.initiator.encryption) + "," + hex(keys.responder.encryption)
            + ",\"\(encryption)\"," + hex(keys.initiator.integrity) + "," + hex(keys.responder.integrity)
            + ",\"\(integrity)\""
    }

    /// A line of `esp_sa`: family, any addresses (a NAT shows others), SPI, cipher, key, integrity, key; nil for AH, which
    /// hides nothing.
    static func of(_ association: SecurityAssociation) -> String? {
        guard association.securityProtocol == .esp else { return nil }
        let spi = "0x" + Hex.encode(association.spi)
        guard let encryption = packetCipher(association.encryption),
            let integrity = packetIntegrity(association.integrity)
        else {
            let names = [association.encryption, association.integrity].compactMap { $0?.displayNameWithKeyLength }
            return "# \(spi): Wireshark does not know \(names.joined(separator: "/"))"
        }
        let family = association.path.local.address.family == .v4 ? "IPv4" : "IPv6"
        let fields = [
            family, "*", "*", spi, encryption, prefixed(association.encryptionKey), integrity,
            prefixed(association.integrityKey),
        ]
        return fields.map { "\"\($0)\"" }.joined(separator: ",")
    }

    private static func hex(_ key: SecretBytes) -> String { Hex.encode(key.exposedBytes()) }

    private static func prefixed(_ key: SecretBytes) -> String { key.isEmpty ? "" : "0x" + hex(key) }

    private static func messageCipher(_ cipher: Transform) -> String? {
        let bits = cipher.keyBits.map { "-\($0)" } ?? ""
        switch cipher.displayName {
        case "AES_CBC": return "AES-CBC\(bits) [RFC3602]"
        case "AES_CTR": return "AES-CTR\(bits) [RFC5930]"
        case "3DES_CBC": return "3DES [RFC2451]"
        case "NULL": return "NULL [RFC2410]"
        case "AES_GCM_8", "AES_GCM_12", "AES_GCM_16", "AES_CCM_8", "AES_CCM_12", "AES_CCM_16":
            let name = cipher.displayName
            return "AES-\(name.dropFirst(4).prefix(3))\(bits) with \(name.dropFirst(8)) octet ICV [RFC5282]"
        default: return nil
        }
    }

    private static func messageIntegrity(_ integrity: Transform?) -> String? {
        guard let integrity else { return "NONE [RFC4306]" }
        switch integrity.displayName {
        case "HMAC_MD5_96": return "HMAC_MD5_96 [RFC2403]"
        case "HMAC_SHA1_96": return "HMAC_SHA1_96 [RFC2404]"
        case "HMAC_SHA2_256_128", "HMAC_SHA2_384_192", "HMAC_SHA2_512_256": return "\(integrity.displayName) [RFC4868]"
        // The messages can be read, and are not checked.
        case "AES_XCBC_96", "AES_CMAC_96": return "ANY 96-bits of Authentication [No Checking]"
        default: return nil
        }
    }

    private static func packetCipher(_ cipher: Transform) -> String? {
        switch cipher.displayName {
        case "AES_CBC": return "AES-CBC [RFC3602]"
        case "AES_CTR": return "AES-CTR [RFC3686]"
        case "3DES_CBC": return "TripleDES-CBC [RFC2451]"
        case "BLOWFISH_CBC": return "BLOWFISH-CBC [RFC2451]"
        case "NULL": return "NULL"
        case "AES_GCM_8", "AES_GCM_12", "AES_GCM_16":
            return "AES-GCM with \(cipher.displayName.dropFirst(8)) octet ICV [RFC4106]"
        default: return nil
        }
    }

    private static func packetIntegrity(_ integrity: Transform?) -> String? {
        guard let integrity else { return "NULL" }
        switch integrity.displayName {
        case "HMAC_MD5_96": return "HMAC-MD5-96 [RFC2403]"
        case "HMAC_SHA1_96": return "HMAC-SHA-1-96 [RFC2404]"
        case "HMAC_SHA2_256_96": return "HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]"
        case "HMAC_SHA2_256_128": return "HMAC-SHA-256-128 [RFC4868]"
        case "HMAC_SHA2_384_192": return "HMAC-SHA-384-192 [RFC4868]"
        case "HMAC_SHA2_512_256": return "HMAC-SHA-512-256 [RFC4868]"
        case "AES_XCBC_96", "AES_CMAC_96": return "ANY 96 bit authentication [no checking]"
        default: return nil
        }
    }
}
