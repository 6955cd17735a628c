/// Text that may go onto a terminal and into a line of a log, whoever made it.
///
/// It owns one rule: what steers a terminal, breaks a line or turns the direction of writing is shown by its number.
public enum Printable {
    /// `text` with such characters written as `\u{1b}`.
    public static func text(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: steers) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if steers(scalar) {
                result += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func steers(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
        default: false
        }
    }
}
