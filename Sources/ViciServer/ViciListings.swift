import ViciMessages

/// The listings of policies, certificates and authorities: which items a client wants, and each as an event.
///
/// It owns the filters and the events' keys. SAs and connections are ``ViciReports``'.
enum ViciListings {
    /// The event's name and its messages for a command of this family; nil when it is none.
    static func events(
        _ command: String, _ arguments: ViciTree, _ handler: any ViciHandler
    ) -> (event: String, messages: [ViciTree])? {
        switch command {
        case "list-policies": ("list-policy", policies(arguments, handler).map(policy))
        case "list-certs": ("list-cert", certificates(arguments, handler).map(certificate))
        case "list-authorities": ("list-authority", authorities(arguments, handler).map(authority))
        default: nil
        }
    }

    private static func name(_ arguments: ViciTree, _ key: String) -> String? {
        arguments[key].flatMap { $0.isEmpty ? nil : $0 }
    }

    // MARK: Policies

    private static func policies(_ arguments: ViciTree, _ handler: any ViciHandler) -> [ViciPolicy] {
        let child = name(arguments, "child")
        let connection = name(arguments, "ike")
        return handler.policies().filter { policy in
            arguments[policy.action.rawValue] == "yes" && (child == nil || child == policy.child)
                && (connection == nil || connection == policy.connection)
        }
    }

    private static func policy(_ policy: ViciPolicy) -> ViciTree {
        ViciTree { tree in
            tree.setSection("\(policy.connection)/\(policy.child)") { section in
                section.set("child", policy.child)
                section.set("ike", policy.connection)
                section.set("mode", policy.mode)
                section.setList("local-ts", policy.localSelectors)
                section.setList("remote-ts", policy.remoteSelectors)
            }
        }
    }

    // MARK: Certificates

    private static func certificates(_ arguments: ViciTree, _ handler: any ViciHandler) -> [ViciCertificate] {
        let type = name(arguments, "type")?.uppercased()
        // As elsewhere in this field: a flag means something only where X.509 certificates are asked for.
        let flag = type == "X509" ? name(arguments, "flag")?.uppercased() : nil
        let subject = name(arguments, "subject")
        return handler.certificates().filter { certificate in
            (type == nil || type == "ANY" || type == certificate.type)
                && (flag == nil || flag == "ANY" || flag == (certificate.flag ?? "NONE"))
                && (subject == nil || subject == certificate.subject)
        }
    }

    private static func certificate(_ certificate: ViciCertificate) -> ViciTree {
        ViciTree { tree in
            tree.set("type", certificate.type)
            if let flag = certificate.flag { tree.set("flag", flag) }
            if certificate.hasPrivateKey { tree.set("has_privkey", true) }
            tree[element: "data"] = .value(certificate.data)
            if let subject = certificate.subject, certificate.type == "PUBKEY" { tree.set("subject", subject) }
        }
    }

    // MARK: Authorities

    private static func authorities(_ arguments: ViciTree, _ handler: any ViciHandler) -> [ViciAuthority] {
        let wanted = name(arguments, "name")
        return handler.authorities().filter { wanted == nil || wanted == $0.name }
    }

    private static func authority(_ authority: ViciAuthority) -> ViciTree {
        ViciTree { tree in
            tree.setSection(authority.name) { section in
                section.set("cacert", authority.subject)
                section.setList("crl_uris", authority.revocationLists)
                section.setList("ocsp_uris", authority.responders)
                if let base = authority.certificateBase { section.set("cert_uri_base", base) }
            }
        }
    }
}
