public import IPsecCrypto

/// Why an SA or a policy could not be installed.
public enum SAError: Error, Hashable, Sendable, CustomStringConvertible {
    /// AH covers addresses and ports, so it can't be put into UDP (RFC 3948 §1).
    case authenticationHeaderInUDP
    /// Keys and algorithms do not fit.
    case cipher(CryptoError)
    /// The replay window is not 0 to ``ReplayWindow/maximumSize``.
    case replayWindow(Int)
    /// More selectors than ``limit``.
    case tooManySelectors(Int, limit: Int)
    /// SPIs 0 to 255 are reserved (RFC 4303 §2.1).
    case reservedSPI(UInt32)
    /// Another SA has this SPI's place in the table.
    case indexTaken(spi: UInt32)
    /// The table is full.
    case tableFull

    /// One clause, without a capital or a full stop.
    public var description: String {
        switch self {
        case .authenticationHeaderInUDP:
            "AH protects the outer addresses, so it can neither pass a NAT nor travel in UDP; use ESP"
        case .cipher(let error): "\(error)"
        case .replayWindow(let size): "a replay window of \(size) packets is not 0 to \(ReplayWindow.maximumSize)"
        case .tooManySelectors(let count, let limit): "\(count) traffic selectors, at most \(limit) are possible"
        case .reservedSPI(let spi): "SPI \(spi) is reserved"
        case .indexTaken(let spi): "another SA has the place of SPI \(String(spi, radix: 16))"
        case .tableFull: "the SA table is full"
        }
    }
}
