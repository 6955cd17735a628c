/// How much a Child SA may carry: the model of the limits that each of its SAs gets. Zero stands for no limit.
public struct VolumeLifetime: Hashable, Sendable {
    /// One kind of limit.
    public struct Limit: Hashable, Sendable {
        /// After so much it is replaced; zero never.
        public var rekey: UInt64
        /// After so much it is closed if it has not been replaced; zero never.
        public var life: UInt64
        /// Up to how much earlier than ``rekey`` it is replaced, by chance, so that both ends seldom start at once.
        public var random: UInt64

        /// No limit.
        public init(rekey: UInt64 = 0, life: UInt64 = 0, random: UInt64 = 0) {
            self.rekey = rekey
            self.life = life
            self.random = random
        }

        /// After how much it is replaced, with `chance` from 0 to 1; nil never.
        public func soft(chance: @autoclosure () -> Double) -> UInt64? {
            guard rekey > 0 else { return nil }
            let share = Double(min(random, rekey)) * min(max(chance(), 0), 1)
            // At least one packet goes through every SA, else it would be replaced for ever.
            return max(rekey - min(UInt64(share), rekey), 1)
        }

        /// After how much it is closed; nil never.
        public var hard: UInt64? { life > 0 ? life : nil }
    }

    /// By octets of inner packets, each direction by itself.
    public var bytes: Limit
    /// By packets, each direction by itself.
    public var packets: Limit

    /// No limits.
    public init(bytes: Limit = Limit(), packets: Limit = Limit()) {
        self.bytes = bytes
        self.packets = packets
    }

    /// The limits of one SA, with a number from 0 to 1 of chance for each that has any.
    public func limits(
        bytesChance: @autoclosure () -> Double, packetsChance: @autoclosure () -> Double
    ) -> VolumeLimits {
        var limits = VolumeLimits()
        limits.softBytes = bytes.soft(chance: bytesChance())
        limits.hardBytes = bytes.hard
        limits.softPackets = packets.soft(chance: packetsChance())
        limits.hardPackets = packets.hard
        return limits
    }
}

/// How much one SA may carry (RFC 4301 §4.4.2.1): what a data plane watches. Nil stands for no limit.
public struct VolumeLimits: Hashable, Sendable {
    /// Octets after which it is to be replaced.
    public var softBytes: UInt64?
    /// Octets after which it carries nothing more.
    public var hardBytes: UInt64?
    /// Packets after which it is to be replaced.
    public var softPackets: UInt64?
    /// Packets after which it carries nothing more.
    public var hardPackets: UInt64?

    /// No limits.
    public init() {}
}

/// A limit that an SA has come to.
public enum VolumeMark: Hashable, Sendable {
    /// It is to be replaced.
    case soft
    /// It carries nothing more.
    case hard
}
