/// In what way the peer's shared key differs from ours: found by trying ours in other readings.
///
/// It owns the name of one of our secrets and the difference. It never holds a secret, nor a part of one.
public struct NearMiss: Hashable, Sendable {
    /// The name of our secret, as its section is called.
    public var secret: String
    /// What the peer does differently with it.
    public var difference: Difference

    /// The peer uses our `secret`, but for the `difference`.
    public init(secret: String, difference: Difference) {
        self.secret = secret
        self.difference = difference
    }

    /// What the peer does differently.
    public enum Difference: Hashable, Sendable {
        /// It has this behind it, which ours does not have.
        case has(Ending)
        /// It lacks this, which ours ends with.
        case lacks(Ending)
        /// It has quotation marks around it.
        case hasQuotes
        /// It lacks the quotation marks that are a part of ours.
        case lacksQuotes
        /// It takes as text what we read in this notation.
        case takesAsText(Notation)
        /// It reads in this notation what we take as text.
        case reads(Notation)
        /// It uses this secret, which is meant for other identities.
        case usesItForUs
    }

    /// What nobody sees at the end of a line.
    public enum Ending: String, Hashable, Sendable, CaseIterable {
        case newline = "\n"
        case carriageReturn = "\r"
        case carriageReturnAndNewline = "\r\n"
        case space = " "
        case tab = "\t"
    }

    /// How octets are written as text.
    public enum Notation: String, Hashable, Sendable, CaseIterable {
        case hexadecimal
        case base64
    }
}
