import WireFormat

/// Other readings of a secret: put together, cut, written as digits, read from digits.
///
/// It owns the arithmetic. A secret never leaves memory that is wiped: no array and no string is made of one.
enum SecretText {
    private static let lowerDigits = Array("0123456789abcdef".utf8)
    private static let upperDigits = Array("0123456789ABCDEF".utf8)
    private static let base64Digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// The secret with octets before and behind it.
    static func joined(_ head: [UInt8], _ value: SecretBytes, _ tail: [UInt8]) -> SecretBytes {
        value.withSpan { octets in
            SecretBytes(count: head.count + octets.count + tail.count) { span in
                for index in head.indices { span[index] = head[index] }
                for index in octets.indices { span[head.count + index] = octets[index] }
                for index in tail.indices { span[head.count + octets.count + index] = tail[index] }
            }
        }
    }

    /// The secret without octets before and behind it; nil when it has not both of them, or nothing else.
    static func without(_ head: [UInt8], _ value: SecretBytes, _ tail: [UInt8]) -> SecretBytes? {
        guard value.count > head.count + tail.count else { return nil }
        let hasBoth = value.withSpan { octets in
            head.indices.allSatisfy { octets[$0] == head[$0] }
                && tail.indices.allSatisfy { octets[octets.count - tail.count + $0] == tail[$0] }
        }
        return hasBoth ? value.slice(head.count..<value.count - tail.count) : nil
    }

    /// Two digits for each octet.
    static func hexadecimal(_ value: SecretBytes, isUpper: Bool) -> SecretBytes {
        let digits = isUpper ? upperDigits : lowerDigits
        return value.withSpan { octets in
            SecretBytes(count: octets.count * 2) { span in
                for index in octets.indices {
                    span[2 * index] = digits[Int(octets[index] >> 4)]
                    span[2 * index + 1] = digits[Int(octets[index] & 15)]
                }
            }
        }
    }

    /// RFC 4648's base64.
    static func base64(_ value: SecretBytes, isPadded: Bool) -> SecretBytes {
        value.withSpan { octets in
            let digits = (octets.count * 8 + 5) / 6
            return SecretBytes(count: isPadded ? (digits + 3) / 4 * 4 : digits) { span in
                for index in span.indices {
                    guard index < digits else {
                        span[index] = UInt8(ascii: "=")
                        continue
                    }
                    // Six bits from the place `index * 6` on; what lies behind the end is zero.
                    let first = index * 6 / 8
                    let pair =
                        UInt16(octets[first]) << 8 | (first + 1 < octets.count ? UInt16(octets[first + 1]) : 0)
                    span[index] = base64Digits[Int(pair >> UInt16(10 - index * 6 % 8) & 63)]
                }
            }
        }
    }

    /// The octets that the secret spells in hexadecimal digits; nil when it does not.
    static func readHexadecimal(_ value: SecretBytes) -> SecretBytes? {
        value.withSpan { text in
            guard text.count > 0, text.count % 2 == 0 else { return nil }
            var isText = true
            let octets = SecretBytes(count: text.count / 2) { span in
                for index in span.indices {
                    guard let high = hexadecimalValue(text[2 * index]), let low = hexadecimalValue(text[2 * index + 1])
                    else {
                        isText = false
                        return
                    }
                    span[index] = high << 4 | low
                }
            }
            return isText ? octets : nil
        }
    }

    /// The octets that the secret spells in base64, its padding there or not; nil when it does not.
    static func readBase64(_ value: SecretBytes) -> SecretBytes? {
        value.withSpan { text in
            var count = text.count
            while count > 0, text.count - count < 2, text[count - 1] == UInt8(ascii: "=") { count -= 1 }
            guard count > 1, count % 4 != 1 else { return nil }
            var isText = true
            let octets = SecretBytes(count: count * 6 / 8) { span in
                var (bits, held, next) = (UInt16(0), 0, 0)
                for index in 0..<count {
                    guard let value = base64Digits.firstIndex(of: text[index]) else {
                        isText = false
                        return
                    }
                    bits = bits << 6 | UInt16(value)
                    held += 6
                    guard held >= 8, next < span.count else { continue }
                    held -= 8
                    span[next] = UInt8(truncatingIfNeeded: bits >> UInt16(held))
                    next += 1
                }
            }
            return isText ? octets : nil
        }
    }

    private static func hexadecimalValue(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
