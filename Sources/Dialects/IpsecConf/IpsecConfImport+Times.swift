/// Lifetimes, liveness and what else an IKE SA does.
extension IpsecConfImport {
    /// How long Child SAs live, and what else their section needs to know of the connection.
    struct ChildTimes {
        /// Seconds; nil where nothing is said (for a policy).
        var life: Int?
        var rekey = 0
        var random = 0
        /// The IKE proposal's groups, which libreswan takes for PFS.
        var groups: String?
    }

    /// Writes the IKE SA's lifetimes, and returns those of its children.
    ///
    /// There, an SA ends after its lifetime, and is replaced `margintime` before that, at random up to `rekeyfuzz` of the
    /// margin earlier; here, `rekey_time` is when it is replaced, at random up to `rand_time` earlier.
    mutating func times(_ section: inout SwanctlDocument.Section, _ settings: inout IpsecSettings) -> ChildTimes {
        let margin = seconds(settings.setting("margintime", "rekeymargin"), or: 540)
        let fuzz = percent(settings.setting("rekeyfuzz"))
        let isRekeyed = settings.setting("rekey").flatMap { Words.truth($0.value) } ?? true
        let ike = seconds(
            settings.setting("ikelifetime", "ike_lifetime", "ike-lifetime"), or: isLibreswan ? 28_800 : 10_800)
        let life = seconds(
            settings.setting("lifetime", "keylife", "salifetime", "sa_lifetime", "ipsec-lifetime"),
            or: isLibreswan ? 28_800 : 3_600)
        let reauth = settings.setting("reauth")
        let wantsReauth = reauth.flatMap { Words.truth($0.value) } ?? false
        if reauth == nil, !isLibreswan, isRekeyed {
            note(
                .changed, settings.place, "reauth",
                "it is not set, which meant yes: the IKE SA is rekeyed instead, without an interruption")
        }
        let (rekeyAt, over, random) = Self.schedule(ike, margin: margin, fuzz: fuzz)
        if isRekeyed {
            section.set(wantsReauth ? "reauth_time" : "rekey_time", Words.time(rekeyAt))
            section.set("over_time", Words.time(over))
            section.set("rand_time", Words.time(random))
        } else {
            section.set("rekey_time", "0s")
        }
        let child = Self.schedule(life, margin: margin, fuzz: fuzz)
        return ChildTimes(life: life, rekey: isRekeyed ? child.rekey : 0, random: isRekeyed ? child.random : 0)
    }

    /// When it is replaced, how long after that it ends, and how much earlier chance may have it. A margin that leaves
    /// nothing of the lifetime becomes a tenth of it.
    static func schedule(_ life: Int, margin: Int, fuzz: Double) -> (rekey: Int, over: Int, random: Int) {
        let margin = margin > 0 && margin < life ? margin : life / 10
        let rekey = life - margin
        let random = Int(min(Double(rekey) / 2, (Double(margin) * fuzz).rounded()))
        return (rekey, margin, random)
    }

    private mutating func seconds(_ setting: IpsecConfFile.Setting?, or other: Int) -> Int {
        guard let setting else { return other }
        if let seconds = Words.seconds(setting.value) { return seconds }
        note(.lost, setting, "it is no time; \(Words.time(other)) is taken")
        return other
    }

    private mutating func percent(_ setting: IpsecConfFile.Setting?) -> Double {
        guard let setting else { return 1 }
        let digits = setting.value.hasSuffix("%") ? String(setting.value.dropLast()) : setting.value
        guard let value = Double(Words.trimmed(digits)), (0...10_000).contains(value) else {
            note(.lost, setting, "it is no percentage; 100% is taken")
            return 1
        }
        return value / 100
    }

    // MARK: Behaviour of the IKE SA

    mutating func behaviour(_ section: inout SwanctlDocument.Section, _ settings: inout IpsecSettings) {
        let delay = settings.setting("dpddelay")
        let action = settings.peek("dpdaction")?.lowercased()
        // strongSwan asks only where there is an action, libreswan where there is a delay.
        if isLibreswan || isFromAWS ? delay != nil : (action ?? "none") != "none" {
            section.set("dpd_delay", Words.time(seconds(delay, or: 30)))
        }
        if let tries = settings.setting("keyingtries") {
            let count = tries.value == "%forever" ? 0 : Int(tries.value)
            if let count, count >= 0 {
                section.set("keyingtries", "\(count)")
            } else {
                note(.lost, tries, "it is no number")
            }
        }
        if let mobike = settings.setting("mobike"), let truth = Words.truth(mobike.value), !truth {
            section.set("mobike", "no")
        }
        if let setting = settings.setting("fragmentation", "ike_frag", "ike-frag") {
            let word = setting.value.lowercased()
            section.set("fragmentation", ["yes", "no", "force", "accept"].contains(word) ? word : "yes")
        }
        if let setting = settings.setting("forceencaps", "encapsulation", "forceudp") {
            switch setting.value.lowercased() {
            case "yes", "true", "1", "on": section.set("encap", "yes")
            case "no", "false", "0", "off": if setting.key == "encapsulation" { section.set("encap", "no") }
            default: break
            }
        }
        if let setting = settings.setting("ppk") {
            if ["insist", "yes"].contains(setting.value.lowercased()) {
                note(.manual, setting, "name the key with ppk_id, and put it into secrets { ppk { } }")
            }
        }
        section.set("dscp", settings.text("ikedscp"), isOptional: true)
        if settings.text("modeconfig") == "push" { section.set("pull", "no", isOptional: true) }
    }
}
