/// What a notification says (RFC 7296 §3.10.1 and IANA's registry, open-ended).
public struct NotifyType: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt16
    /// The type with this number.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Whether it reports an error: numbers below 16384.
    public var isError: Bool { rawValue < 16384 }
    /// Whether its number is for private use.
    public var isPrivate: Bool { (8192..<16384).contains(rawValue) || rawValue >= 40960 }
}

extension NotifyType: CustomStringConvertible {
    /// The registry's name, else the number.
    public var description: String { Self.entry(self)?.name ?? String(rawValue) }

    /// The short form that logs of this field use in a message's summary (`MOBIKE_SUP`); the registry's name where
    /// none is in use, else the number.
    public var shortName: String {
        guard let entry = Self.entry(self) else { return String(rawValue) }
        return entry.short ?? entry.name
    }

    private static func entry(_ type: NotifyType) -> NotifyTypeEntry? {
        NotifyTypeEntry.all.first { $0.type == type }
    }
}
