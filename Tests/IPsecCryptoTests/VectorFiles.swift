import Foundation
import Testing
import WireFormat

@testable import IPsecCrypto

/// Reads the vectors that lie beside the tests (`Vectors/LICENSES.md` says where they come from).
enum VectorFiles {
    /// The contents of a JSON file: an array of cases.
    static func load<Case: Decodable>(_ name: String, as type: Case.Type = Case.self) throws -> [Case] {
        try JSONDecoder().decode([Case].self, from: data("\(name).json"))
    }

    static func data(_ file: String) throws -> Data {
        try Data(contentsOf: Bundle.module.bundleURL.appendingPathComponent("Vectors").appendingPathComponent(file))
    }
}

/// `#expect` for a condition whose evaluation changes something: the macro takes no mutating call.
func check(_ condition: Bool, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(condition, comment, sourceLocation: sourceLocation)
}

/// Octets that JSON spells in hexadecimal.
struct HexBytes: Decodable {
    let bytes: [UInt8]

    init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let bytes = Hex.decode(text) else {
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: text))
        }
        self.bytes = bytes
    }
}

/// A packet as a test lays it out: associated data, IV, text, ICV, one after the other.
struct PacketLayout {
    var bytes: [UInt8]
    let associatedData: Range<Int>
    let iv: Range<Int>
    let text: Range<Int>
    var icv: Int { text.upperBound }

    init(associatedData: [UInt8], iv: [UInt8], text: [UInt8], icv: [UInt8]) {
        bytes = associatedData + iv + text + icv
        self.associatedData = 0..<associatedData.count
        self.iv = associatedData.count..<(associatedData.count + iv.count)
        self.text = self.iv.upperBound..<(self.iv.upperBound + text.count)
    }

    mutating func seal(_ cipher: PacketCipher, high: UInt32? = nil) -> Bool {
        return cipher.seal(
            &bytes, associatedData: associatedData, extraAssociatedData: high, iv: iv, text: text, icv: icv)
    }

    mutating func open(_ cipher: PacketCipher, high: UInt32? = nil) -> Bool {
        return cipher.open(
            &bytes, associatedData: associatedData, extraAssociatedData: high, iv: iv, text: text, icv: icv)
    }
}

extension PacketCipher {
    /// An AEAD of any sizes, for vectors beyond those that IKE negotiates: the whole nonce is the packet's IV.
    static func rawAEAD(
        _ library: String, key: [UInt8], nonceLength: Int, tagLength: Int, _ direction: Direction
    ) throws -> PacketCipher {
        let specification = AEADSpecification(
            library: library, mode: library.hasSuffix("CCM") ? .ccm : .stream, keyLength: key.count, saltLength: 0,
            ivLength: nonceLength, icvLength: tagLength)
        return try PacketCipher(
            try #require(PacketShape(.aead(specification))), nil,
            keys: PacketKeys(encryption: SecretBytes(key), integrity: SecretBytes([])), direction: direction,
            names: (.aes128gcm16, nil))
    }
}
