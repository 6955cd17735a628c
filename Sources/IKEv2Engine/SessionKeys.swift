import Clockwork
import IKECore
import IKEMessages
import IPsecCrypto
import StateRecords
import WireFormat

/// The keys of one IKE SA in use: they seal what we send and open what the peer sends.
///
/// It owns SK_d, SK_pi and SK_pr, both ciphers, and the counter that makes IVs unique where a cipher wants them so. It
/// never decides what is sent.
final class SessionKeys {
    /// The algorithms.
    let suite: KeySchedule.Suite
    /// SK_d, SK_pi and SK_pr.
    private(set) var roots: Roots
    /// The same without a post-quantum preshared key, where one is mixed in and may yet have to go.
    private var plain: Roots?
    /// SK_d.
    var derivation: SecretBytes { roots.derivation }
    /// SK_pi.
    var initiatorProof: SecretBytes { roots.initiatorProof }
    /// SK_pr.
    var responderProof: SecretBytes { roots.responderProof }
    private let sealing: DirectionCipher
    private let opening: DirectionCipher
    private var sealed: UInt64 = 0
    /// The keys before the last key exchange, under which a request that was answered may come again; nil as soon as the
    /// peer has used these.
    var predecessor: SessionKeys?

    /// Puts derived keys to use; nil when the library refuses them.
    init?(_ suite: KeySchedule.Suite, _ schedule: KeySchedule, isInitiator: Bool) {
        let (ours, theirs) =
            isInitiator
            ? (schedule.initiatorKeys, schedule.responderKeys) : (schedule.responderKeys, schedule.initiatorKeys)
        guard let sealing = DirectionCipher(suite, ours, .seal), let opening = DirectionCipher(suite, theirs, .open)
        else { return nil }
        self.suite = suite
        self.sealing = sealing
        self.opening = opening
        roots = Roots(
            derivation: schedule.derivation, initiatorProof: schedule.initiatorProof,
            responderProof: schedule.responderProof)
    }

    /// Appends them, and how many messages were sealed: no IV comes twice.
    func write(to writer: RecordWriter) {
        writer.put(sealing.keys)
        writer.put(opening.keys)
        for root in roots.list { writer.secret(root) }
        writer.uint64(sealed)
    }

    /// Reads back the keys of a suite.
    init(from reader: inout RecordReader, _ suite: KeySchedule.Suite) throws(RecordError) {
        let ours = try reader.value(PacketKeys.self)
        let theirs = try reader.value(PacketKeys.self)
        let derivation = try reader.secret("SK_d")
        let initiatorProof = try reader.secret("SK_pi")
        let responderProof = try reader.secret("SK_pr")
        guard let sealing = DirectionCipher(suite, ours, .seal), let opening = DirectionCipher(suite, theirs, .open)
        else { throw .inconsistent("keys that do not fit their algorithms") }
        self.suite = suite
        self.sealing = sealing
        self.opening = opening
        roots = Roots(derivation: derivation, initiatorProof: initiatorProof, responderProof: responderProof)
        sealed = try reader.uint64("sealed messages")
    }

    /// A post-quantum preshared key was mixed in. What seals and opens stays as it is (RFC 8784 §3).
    func mix(_ mixed: Roots) {
        plain = roots
        roots = mixed
    }

    /// The peer goes on without it.
    func unmix() {
        if let plain { roots = plain }
        plain = nil
    }

    /// Both have proved who they are: nothing goes back any more.
    func settle() {
        plain = nil
        predecessor = nil
        sealing.settle()
        opening.settle()
    }

    /// The message with its payloads encrypted.
    func seal(_ message: Message, _ entropy: inout some Entropy) throws(WritingError) -> [UInt8] {
        try message.sealed(with: sealing, iv: nextIV(&entropy))
    }

    /// The same in fragments where it is longer than `maximumLength` octets.
    func sealFragments(
        _ message: Message, maximumLength: Int, _ entropy: inout some Entropy
    ) throws(WritingError) -> [[UInt8]] {
        try message.sealedFragments(with: sealing, maximumLength: maximumLength) { nextIV(&entropy) }
    }

    private func nextIV(_ entropy: inout some Entropy) -> [UInt8] {
        // Block modes need IVs that nobody can predict (RFC 3602 §3), the others need IVs that never repeat.
        if sealing.blockLength > 1 { return entropy.bytes(sealing.ivLength) }
        sealed &+= 1
        let counter = WireProposal.octets(sealed)
        if sealing.ivLength == counter.count { return counter }
        return [UInt8](repeating: 0, count: max(0, sealing.ivLength - 8)) + counter.suffix(sealing.ivLength)
    }

    /// Opens a message of the peer's.
    func open(_ message: SealedMessage) throws(GrammarError) -> OpenedMessage { try message.open(with: opening) }

    /// Opens a fragment of the peer's.
    func openFragment(_ message: SealedMessage) throws(GrammarError) -> OpenedFragment {
        try message.openFragment(with: opening)
    }

    /// What seals and what opens, for ``ExposedKeys`` and for nothing else.
    func exposed(_ context: SessionContext, intermediate: Int?) -> ExposedKeys {
        let (initiator, responder) =
            context.isInitiator ? (sealing.keys, opening.keys) : (opening.keys, sealing.keys)
        return ExposedKeys(
            initiatorSPI: context.initiatorSPI, responderSPI: context.responderSPI, encryption: suite.encryption,
            integrity: suite.integrity, initiator: initiator, responder: responder, intermediate: intermediate)
    }

    /// Octets that the encrypted payload's body has at least, whatever is in it.
    static func smallestBody(_ suite: KeySchedule.Suite) -> Int {
        // An identity and a proof with their headers make 16 octets; an ICV has at least 8.
        16 + 8 + suite.prf.outputLength
    }
}

/// A packet cipher that takes and gives arrays, made anew for each message: messages are few, IKE SAs are many, and the
/// expanded keys of one take more room than all the rest of it. The one that was made to see whether the library takes
/// the keys is the first message's.
final class DirectionCipher: SKCipher {
    private let encryption: Transform
    private let integrity: Transform?
    let keys: PacketKeys
    private let direction: PacketCipher.Direction
    let ivLength: Int
    let icvLength: Int
    let blockLength: Int
    private var unused: PacketCipher?

    /// Nil when the library refuses the keys.
    init?(_ suite: KeySchedule.Suite, _ keys: PacketKeys, _ direction: PacketCipher.Direction) {
        (encryption, integrity) = (suite.encryption, suite.integrity)
        self.keys = keys
        self.direction = direction
        guard let cipher = Self.make(suite.encryption, suite.integrity, keys, direction) else { return nil }
        (ivLength, icvLength, blockLength) = (cipher.ivLength, cipher.icvLength, cipher.blockLength)
        unused = cipher
    }

    /// The next message may be long in coming.
    func settle() { unused = nil }

    private func take() -> PacketCipher? {
        defer { unused = nil }
        return unused ?? Self.make(encryption, integrity, keys, direction)
    }

    private static func make(
        _ encryption: Transform, _ integrity: Transform?, _ keys: PacketKeys, _ direction: PacketCipher.Direction
    ) -> PacketCipher? {
        do throws(CryptoError) {
            return try PacketCipher(encryption: encryption, integrity: integrity, keys: keys, direction: direction)
        } catch {
            return nil
        }
    }

    func seal(associatedData: Span<UInt8>, iv: Span<UInt8>, plaintext: Span<UInt8>) -> [UInt8]? {
        guard let cipher = take() else { return nil }
        let text = 0..<plaintext.count
        return run(plaintext, spare: icvLength, associatedData, iv, kept: text.count + icvLength) { buffer, data, iv in
            cipher.seal(
                &buffer, associatedData: data, extraAssociatedData: nil, iv: iv, text: text, icv: text.upperBound)
        }
    }

    func open(associatedData: Span<UInt8>, iv: Span<UInt8>, sealed: Span<UInt8>) -> [UInt8]? {
        guard sealed.count >= icvLength, let cipher = take() else { return nil }
        let text = 0..<(sealed.count - icvLength)
        return run(sealed, spare: 0, associatedData, iv, kept: text.count) { buffer, data, iv in
            cipher.open(
                &buffer, associatedData: data, extraAssociatedData: nil, iv: iv, text: text, icv: text.upperBound)
        }
    }

    /// Puts the body first, and behind it what the cipher wants besides, so that the result need not be copied out: it is
    /// the first `kept` octets once `operation` has run.
    private func run(
        _ body: Span<UInt8>, spare: Int, _ associatedData: Span<UInt8>, _ iv: Span<UInt8>, kept: Int,
        _ operation: (inout MutableRawSpan, _ associatedData: Range<Int>, _ iv: Range<Int>) -> Bool
    ) -> [UInt8]? {
        let data = (body.count + spare)..<(body.count + spare + associatedData.count)
        let vector = data.upperBound..<(data.upperBound + iv.count)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(vector.upperBound)
        bytes.append(copying: body)
        for _ in 0..<spare { bytes.append(0) }
        bytes.append(copying: associatedData)
        bytes.append(copying: iv)
        var span = bytes.mutableSpan
        var buffer = MutableRawSpan(_elements: &span)
        guard operation(&buffer, data, vector) else { return nil }
        bytes.removeLast(vector.upperBound - kept)
        return bytes
    }
}
