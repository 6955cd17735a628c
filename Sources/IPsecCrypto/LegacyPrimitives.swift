import CIPsecCrypto
public import WireFormat

/// Functions that are broken, and that methods of EAP can't do without: MD4 and DES for MSCHAPv2 (RFC 2759), MD5 for
/// MD5-Challenge (RFC 3748 §5.4).
///
/// It owns nothing, and protects nothing. Everything else uses `Digest`.
public enum LegacyPrimitives {
    /// MD4 of these octets: 16 octets.
    public static func md4(_ octets: SecretBytes) -> SecretBytes {
        octets.withSpan { span in
            unsafe digest(span) { bytes, count, out in unsafe martlet_md4(bytes, count, out) }
        }
    }

    /// MD5 of these octets: 16 octets.
    public static func md5(_ octets: SecretBytes) -> SecretBytes {
        octets.withSpan { span in
            unsafe digest(span) { bytes, count, out in unsafe martlet_md5(bytes, count, out) }
        }
    }

    /// One block of 8 octets encrypted with DES under the first 7 octets of `key`, spread over 8 (RFC 2759 §8.6); nil for
    /// other lengths.
    public static func des(_ block: [UInt8], key: SecretBytes) -> [UInt8]? {
        guard block.count == 8, key.count == 7 else { return nil }
        let spread = key.withSpan { seven in
            SecretBytes(count: 8) { eight in
                // Seven bits each, the parity bit last and of no account.
                for index in 0..<8 {
                    let high = index == 0 ? 0 : UInt16(seven[index - 1]) << 8
                    let low = index == 7 ? 0 : UInt16(seven[index])
                    eight[index] = UInt8(truncatingIfNeeded: (high | low) >> UInt16(index)) & 0xfe
                }
            }
        }
        var output = [UInt8](repeating: 0, count: 8)
        // All three are 8 octets, and are used during the call only.
        spread.withSpan { keySpan in
            unsafe keySpan.withUnsafeBufferPointer { key in
                unsafe block.withUnsafeBufferPointer { input in
                    unsafe output.withUnsafeMutableBufferPointer { out in
                        guard let key = key.baseAddress, let input = input.baseAddress, let out = out.baseAddress
                        else { return }
                        unsafe martlet_des_block(key, input, out)
                    }
                }
            }
        }
        return output
    }

    private static func digest(
        _ span: Span<UInt8>, _ function: (UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<UInt8>) -> Void
    ) -> SecretBytes {
        SecretBytes(count: 16) { out in
            // Read and written during the call only; the function writes exactly 16 octets.
            unsafe span.withUnsafeBufferPointer { input in
                unsafe out.withUnsafeMutableBufferPointer { output in
                    guard let base = output.baseAddress else { return }
                    unsafe function(input.baseAddress, input.count, base)
                }
            }
        }
    }
}
