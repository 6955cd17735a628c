import WireFormat

/// Sealing: a message's payloads become the inside of an SK payload, or of several SKF payloads.
extension Message {
    /// The message with all its payloads inside an SK payload (RFC 7296 §3.14). The padding is the shortest that fills
    /// the cipher's blocks.
    public func sealed(with cipher: borrowing some SKCipher, iv: [UInt8]) throws(WritingError) -> [UInt8] {
        try seal(
            try inside(), firstInner: payloads.first?.type ?? .none, fragment: nil, with: cipher, iv: iv)
    }

    /// The message as fragments, none of which is longer than `maximumLength` octets (from the IKE header on); as one
    /// ordinary message when it is short enough (RFC 7383 §2.5). `iv` is called once for each datagram, in order.
    public func sealedFragments(
        with cipher: borrowing some SKCipher, maximumLength: Int, iv: () -> [UInt8]
    ) throws(WritingError) -> [[UInt8]] {
        let inside = try inside()
        let first = payloads.first?.type ?? .none
        let block = max(1, cipher.blockLength)
        let overhead = IKEHeader.byteCount + GenericPayloadHeader.byteCount + cipher.ivLength + cipher.icvLength
        /// The most content that padded blocks leave room for.
        func room(_ overhead: Int) -> Int { (maximumLength - overhead) / block * block - 1 }
        if inside.count <= room(overhead) {
            return [try seal(inside, firstInner: first, fragment: nil, with: cipher, iv: iv())]
        }
        let chunk = room(overhead + 4)
        guard chunk > 0, let total = UInt16(exactly: (inside.count + chunk - 1) / chunk) else {
            throw .fragmentSize(maximumLength)
        }
        var datagrams: [[UInt8]] = []
        var number: UInt16 = 0
        var start = 0
        while start < inside.count {
            let end = min(start + chunk, inside.count)
            number += 1
            datagrams.append(
                try seal(
                    Array(inside[start..<end]), firstInner: number == 1 ? first : .none,
                    fragment: EncryptedPayload.Fragment(number: number, total: total), with: cipher, iv: iv()))
            start = end
        }
        return datagrams
    }

    /// What IKE_INTERMEDIATE adds to the AUTH calculation for a message of ours (RFC 9242 §3.3.2); see
    /// ``OpenedMessage/intermediateOctets``.
    public func intermediateOctets() throws(WritingError) -> [UInt8] {
        let inside = try inside()
        var writer = WireWriter(capacity: 64)
        header.write(first: .encrypted, into: &writer)
        EncryptedPayload.writeHead(
            firstInner: payloads.first?.type ?? .none, fragment: nil, bodyLength: 0, into: &writer)
        return OpenedMessage.intermediateOctets(head: writer.bytes[...], plaintext: inside[...])
    }

    /// The chain of payloads before encryption.
    private func inside() throws(WritingError) -> [UInt8] {
        guard payloads.count <= Self.maximumPayloads else { throw .tooManyPayloads(payloads.count) }
        var writer = WireWriter(capacity: Self.usualLength)
        PayloadChain.write(payloads, into: &writer)
        if writer.overflowed { throw .payloadTooLong }
        return writer.bytes
    }

    private func seal(
        _ inside: consuming [UInt8], firstInner: PayloadType, fragment: EncryptedPayload.Fragment?,
        with cipher: borrowing some SKCipher, iv: [UInt8]
    ) throws(WritingError) -> [UInt8] {
        guard iv.count == cipher.ivLength else { throw .ivLength(iv.count, expected: cipher.ivLength) }
        let block = max(1, cipher.blockLength)
        let padLength = (block - (inside.count + 1) % block) % block
        inside.append(contentsOf: repeatElement(0, count: padLength))
        inside.append(UInt8(truncatingIfNeeded: padLength))
        let bodyLength = iv.count + inside.count + cipher.icvLength
        var writer = WireWriter(capacity: 64 + bodyLength)
        header.write(first: fragment == nil ? .encrypted : .encryptedFragment, into: &writer)
        EncryptedPayload.writeHead(
            firstInner: firstInner, fragment: fragment, bodyLength: bodyLength, into: &writer)
        // The lengths are part of what is authenticated: they must be right before the sealing.
        writer.patch32(at: IKEHeader.lengthOffset, writer.count + bodyLength)
        let sealed = cipher.seal(associatedData: writer.bytes.span, iv: iv.span, plaintext: inside.span)
        guard let sealed, sealed.count == inside.count + cipher.icvLength else { throw .cipher }
        writer.append(iv)
        writer.append(sealed)
        return try Self.finish(writer)
    }
}
