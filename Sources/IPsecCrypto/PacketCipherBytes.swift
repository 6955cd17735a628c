/// The same for a packet in an array, as IKE builds its messages: no raw memory in the caller's hands.
extension PacketCipher {
    /// Encrypts `text` in place and writes the ICV at `icv`; as
    /// ``seal(_:associatedData:extraAssociatedData:iv:text:icv:)-(MutableRawSpan,_,_,_,_,_)``.
    public func seal(
        _ bytes: inout [UInt8], associatedData: Range<Int>, extraAssociatedData: UInt32? = nil, iv: Range<Int>,
        text: Range<Int>, icv: Int
    ) -> Bool {
        var span = bytes.mutableSpan
        // Every pattern of bits is an octet, so the raw view cannot break the array's elements.
        var raw = unsafe span.mutableBytes
        return seal(
            &raw, associatedData: associatedData, extraAssociatedData: extraAssociatedData, iv: iv, text: text,
            icv: icv)
    }

    /// Verifies the ICV at `icv` and decrypts `text` in place; as
    /// ``open(_:associatedData:extraAssociatedData:iv:text:icv:)-(MutableRawSpan,_,_,_,_,_)``.
    public func open(
        _ bytes: inout [UInt8], associatedData: Range<Int>, extraAssociatedData: UInt32? = nil, iv: Range<Int>,
        text: Range<Int>, icv: Int
    ) -> Bool {
        var span = bytes.mutableSpan
        // As above.
        var raw = unsafe span.mutableBytes
        return open(
            &raw, associatedData: associatedData, extraAssociatedData: extraAssociatedData, iv: iv, text: text,
            icv: icv)
    }
}
