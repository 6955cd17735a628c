/// Moments of the civil calendar in words.
///
/// It owns the arithmetic. It looks at no clock and knows no time zone but UTC.
public enum CalendarText {
    /// `2026-11-21 14:30 UTC`, from seconds since 1970 (days counted from March, as the Gregorian calendar is simplest).
    public static func moment(_ seconds: Int64) -> String {
        guard (-62_135_596_800...253_402_300_799).contains(seconds) else { return "\(seconds) s after 1970" }
        let days = (seconds >= 0 ? seconds : seconds - 86_399) / 86_400
        let rest = seconds - days * 86_400
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let ofEra = shifted - era * 146_097
        let year = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * year + year / 4 - year / 100)
        let monthFromMarch = (5 * ofYear + 2) / 153
        let day = ofYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let pad = { (number: Int64, width: Int) in
            let text = String(number)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        return "\(pad(year + era * 400 + (month <= 2 ? 1 : 0), 4))-\(pad(month, 2))-\(pad(day, 2)) "
            + "\(pad(rest / 3_600, 2)):\(pad(rest % 3_600 / 60, 2)) UTC"
    }
}
