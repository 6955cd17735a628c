import SwanctlConfig
import ViciMessages
import ViciServer
import WireFormat

/// What a control client loads, in the form in which a configuration file would say it.
///
/// It owns nothing but the correspondence; the readers of swanctl.conf say what is right.
extension SettingsFragment {
    /// The settings that `item` stands for.
    init(_ item: ViciItem, named name: String) {
        self.init()
        switch item.kind {
        case .connection: nest("connections", name, SettingsFragment(item.fields))
        case .pool: nest("pools", name, SettingsFragment(item.fields))
        case .authority: nest("authorities", name, SettingsFragment(item.fields))
        case .sharedSecret: nest("secrets", Self.sectionName(item, name), Self.secret(item.fields))
        case .privateKey, .certificate, .token:
            // No section of the file can hold these; whoever keeps keys takes them as they are.
            break
        }
    }

    /// A message of the control protocol as settings.
    init(_ tree: ViciTree) {
        self.init(
            tree.entries.map { entry in
                switch entry.element {
                case .value(let octets): Entry(entry.name, .value(octets))
                case .list(let items): Entry(entry.name, .list(items))
                case .section(let inner): Entry(entry.name, .section(SettingsFragment(inner)))
                case .secret(let secret): Entry(entry.name, .secret(secret))
                }
            })
    }

    private mutating func nest(_ section: String, _ name: String, _ inner: SettingsFragment) {
        let named = SettingsFragment([Entry(name, .section(inner))])
        entries.append(Entry(section, .section(named)))
    }

    /// A secret's section says by its name what type it is.
    private static func sectionName(_ item: ViciItem, _ name: String) -> String {
        let type = (item.fields["type"] ?? "ike").lowercased()
        return name.hasPrefix(type) ? name : "\(type)-\(name)"
    }

    private static func secret(_ fields: ViciTree) -> SettingsFragment {
        var secret = SettingsFragment()
        for (index, owner) in (fields.list("owners") ?? []).enumerated() { secret.set("id-\(index + 1)", owner) }
        if let octets = fields.secret("data") { secret.entries.append(Entry("secret", .secret(octets))) }
        return secret
    }
}
