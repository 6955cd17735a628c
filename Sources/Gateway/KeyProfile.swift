import LinuxSystem

/// A directory that Wireshark takes as a profile: the table of IKE SAs' keys, and the preference that ESP is decrypted.
///
/// It owns the table, which only its owner may read. What is in the directory stays, and is added to.
struct KeyProfile {
    /// `ikev2_decryption_table`.
    let messages: Descriptor

    /// Makes what is not there. A directory that is none, but a link to one, is refused where `followsLink` does not say
    /// otherwise: who may write beside it could send the keys elsewhere.
    init(at directory: String, followsLink: Bool) throws(SystemError) {
        if !RawFile.exists(directory) { try RawFile.makeDirectory(directory, mode: 0o700) }
        guard followsLink || RawFile.isDirectory(directory) else {
            throw SystemError(call: "mkdir", errno: .tooManyLinks, context: directory)
        }
        messages = try RawFile.openAppending("\(directory)/ikev2_decryption_table")
        let preferences = "\(directory)/preferences"
        if !RawFile.exists(preferences) {
            let text = Array("# Decrypt ESP with the keys in esp_sa.\nesp.enable_encryption_decode: TRUE\n".utf8)
            try RawFile.write(preferences, text)
        }
    }
}
