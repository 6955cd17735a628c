/// The secrets.
extension IpsecConfImport {
    /// `secrets { }` of files of secrets. No note of it shows a value.
    mutating func secrets(_ files: [ConfigurationImport.File]) -> [SwanctlDocument.Section] {
        let read = IpsecSecretsFile(files)
        notes += read.notes
        return read.entries.enumerated().compactMap { index, entry in section(entry, number: index + 1) }
    }

    private mutating func section(_ entry: IpsecSecretsFile.Entry, number: Int) -> SwanctlDocument.Section? {
        switch entry.kind {
        case "PSK": return shared(entry, "ike-\(number)")
        case "EAP", "NTLM", "XAUTH":
            guard entry.kind == "EAP" else {
                note(.lost, entry.place, "a secret of kind \(entry.kind)", "it belongs to IKEv1 or is not supported")
                return nil
            }
            return shared(entry, "eap-\(number)")
        case "RSA", "ECDSA", "P12", "PKCS8": return key(entry, number)
        default:
            note(.lost, entry.place, "a secret of kind \(entry.kind)", "it is not supported")
            return nil
        }
    }

    private mutating func shared(_ entry: IpsecSecretsFile.Entry, _ name: String) -> SwanctlDocument.Section? {
        guard let word = entry.words.first, let octets = IpsecSecretsFile.octets(word, isQuoted: entry.isQuoted) else {
            note(.lost, entry.place, "a secret of kind \(entry.kind)", "its value can't be read")
            return nil
        }
        if !entry.isQuoted, entry.words.count > 1 {
            note(.changed, entry.place, "a secret of kind \(entry.kind)", "what follows its first word is left out")
        }
        var section = SwanctlDocument.Section(name)
        // Anybody beside a name is still that name's.
        var number = 1
        for owner in entry.owners where !["%any", "%any4", "%any6", "0.0.0.0", "::", "*"].contains(owner.lowercased()) {
            let isKeyID = owner.hasPrefix("@[") && owner.hasSuffix("]")
            section.set("id-\(number)", isKeyID ? "keyid:" + owner.dropFirst(2).dropLast() : owner)
            number += 1
        }
        section.set("secret", octets)
        return section
    }

    /// A file with a private key: where it has to go, and its password.
    private mutating func key(_ entry: IpsecSecretsFile.Entry, _ number: Int) -> SwanctlDocument.Section? {
        guard let word = entry.words.first, !word.hasPrefix("{"), !word.hasPrefix("%") else {
            note(.manual, entry.place, "a key of kind \(entry.kind)", "export it as PEM into the directory private")
            return nil
        }
        let file = word.split(separator: "/").last.map(String.init) ?? word
        let folder = entry.kind == "P12" ? "pkcs12" : "private"
        note(.manual, entry.place, "the key \(file)", "copy it into the directory \(folder) beside swanctl.conf")
        guard entry.words.count > 1, let password = IpsecSecretsFile.octets(entry.words[1], isQuoted: true),
            entry.words[1] != "%prompt"
        else { return nil }
        var section = SwanctlDocument.Section("\(folder)-\(number)")
        section.set("file", file)
        section.set("secret", password)
        return section
    }
}
