import WireFormat

/// VICI's own fields: names with a length of one octet, values with a length of two.
///
/// It owns what a name may be. It never looks at values.
enum ViciName {
    /// The longest name in octets.
    static let maximumLength = 255

    /// Whether it may stand in a message: not empty, not too long, nothing that a terminal would obey. A section's may be
    /// empty: the counters of all connections together stand in such a one.
    static func isValid(_ name: String, ofSection: Bool = false) -> Bool {
        ((ofSection ? 0 : 1)...maximumLength).contains(name.utf8.count)
            && !name.utf8.contains { $0 < 0x20 || $0 == 0x7f }
    }
}

extension WireReader {
    /// Reads an octet, with VICI's error.
    mutating func viciOctet(_ field: StaticString) throws(ViciError) -> UInt8 {
        do { return try uint8(field) } catch { throw ViciError(error) }
    }

    /// Reads a name with its length.
    mutating func viciName(ofSection: Bool = false) throws(ViciError) -> String {
        do {
            let length = try uint8("name length")
            let octets = try bytes(Int(length), "name")
            guard let name = String(validating: octets, as: UTF8.self), ViciName.isValid(name, ofSection: ofSection)
            else {
                throw ViciError.name
            }
            return name
        } catch let error as WireError {
            throw ViciError(error)
        } catch {
            throw .name
        }
    }

    /// Reads a value with its length.
    /// Reads a value that is a secret; it is in no other memory than the message's own.
    mutating func viciSecret(_ field: StaticString) throws(ViciError) -> SecretBytes {
        do {
            let length = try uint16(field)
            return SecretBytes(copying: try span(Int(length), field))
        } catch {
            throw ViciError(error)
        }
    }

    /// Reads a value with its length.
    mutating func viciValue(_ field: StaticString) throws(ViciError) -> [UInt8] {
        do {
            let length = try uint16(field)
            return try bytes(Int(length), field)
        } catch {
            throw ViciError(error)
        }
    }
}

extension WireWriter {
    /// Writes a name with its length.
    mutating func viciName(_ name: String, ofSection: Bool = false) throws(ViciError) {
        guard ViciName.isValid(name, ofSection: ofSection), let length = UInt8(exactly: name.utf8.count) else {
            throw .name
        }
        uint8(length)
        append(name.utf8)
    }

    /// Writes a value with its length.
    mutating func viciValue(_ octets: [UInt8], of name: String) throws(ViciError) {
        guard let length = UInt16(exactly: octets.count) else { throw .valueTooLong(name) }
        uint16(length)
        append(octets)
    }
}

extension ViciError {
    /// What a reader found wrong.
    init(_ error: WireError) {
        switch error {
        case .short(let field, let needed, let had): self = .short(field: field, needed: needed, had: had)
        case .trailing(_, let count): self = .trailing(count: count)
        case .forbidden: self = .name
        }
    }
}
