/// Proposals as swanctl.conf writes them: `aes128gcm16-prfsha256-x25519`.
extension Proposal {
    /// Reads a proposal for IKE, ESP or AH. In AH there is no encryption.
    ///
    /// Several algorithms of one type are alternatives, the first is preferred. In IKE, PRFs that are not named follow
    /// from the integrity algorithms; beside an AEAD that is all an integrity algorithm does. In ESP an integrity
    /// algorithm beside an AEAD does nothing (configurations in the field carry it), and without `esn` or `noesn`
    /// sequence numbers have 32 bits. Letter case does not matter.
    public init(parsing text: String, for securityProtocol: SecurityProtocol) throws(ProposalSyntaxError) {
        var parser = ProposalParser(text, securityProtocol)
        self = try parser.parse()
    }

    /// Reads the same as swanctl does: words that have no meaning where they stand are left out, and named in
    /// `idle`. These are a PRF outside IKE, `none`, `esn` and `noesn` in IKE, and what stands there already.
    public init(
        reading text: String, for securityProtocol: SecurityProtocol, idle: inout [IdleWord]
    ) throws(ProposalSyntaxError) {
        var parser = ProposalParser(text, securityProtocol)
        parser.sparesIdleWords = true
        self = try parser.parse()
        idle += parser.idle
    }

    /// A word of a proposal that does nothing.
    public struct IdleWord: Hashable, Sendable {
        /// The word, as it stands there.
        public let word: String
        /// Why, one clause.
        public let reason: String
    }

    /// What to offer and accept where the configuration says nothing: strong algorithms only, AEAD first.
    public static func defaults(for securityProtocol: SecurityProtocol) -> [Proposal] {
        let aeads: [Transform] = [.aes128gcm16, .aes256gcm16, .chacha20poly1305]
        let prfs: [Transform] = [.prfsha256, .prfsha384, .prfsha512]
        let groups: [Transform] = [.x25519, .ecp256, .ecp384, .ecp521, .modp3072, .modp4096]
        let integrity: [Transform] = [.sha256, .sha384, .sha512]
        switch securityProtocol {
        case .ike:
            return [
                Proposal(.ike, aeads + prfs + groups),
                Proposal(.ike, [.aes256, .aes128] + integrity + prfs + groups),
            ]
        case .esp:
            return [
                Proposal(.esp, aeads + [.noesn]),
                Proposal(.esp, [.aes256, .aes128] + integrity + [.noesn]),
            ]
        case .ah: return [Proposal(.ah, integrity + [.noesn])]
        default: return []
        }
    }

    /// The same without transforms of one type.
    public func removing(_ type: TransformType) -> Proposal {
        Proposal(securityProtocol, transforms.filter { $0.type != type })
    }
}

extension Proposal: CustomStringConvertible {
    /// The proposal in swanctl's syntax. What was parsed comes back in a form that parses to the same; a transform that
    /// Martlet does not have is shown by its numbers.
    public var description: String {
        let shown = transforms.filter { transform in
            // The default goes without saying.
            transform != .noesn || transforms(of: .sequenceNumbers).count > 1
        }
        return shown.map { transform in
            let word = transform.description
            // In AH the plain word means the integrity algorithm, and swanctl has no other.
            return securityProtocol == .ah && word.hasSuffix("gmac_ah") ? String(word.dropLast(3)) : word
        }.joined(separator: "-")
    }
}

/// Reads one proposal, word by word.
private struct ProposalParser {
    private struct Word {
        let text: String
        let column: Int
        let algorithm: Algorithm
        /// Its own numbers, or those of the same method as an additional key exchange.
        let transform: Transform
        var isAEAD: Bool { if case .aead = algorithm.specification { true } else { false } }
    }

    private let text: String
    private let securityProtocol: SecurityProtocol
    private let use: AlgorithmUse
    private var words: [Word] = []
    /// Whether words that do nothing are left out.
    var sparesIdleWords = false
    /// The words that were.
    private(set) var idle: [Proposal.IdleWord] = []

    init(_ text: String, _ securityProtocol: SecurityProtocol) {
        self.text = text
        self.securityProtocol = securityProtocol
        use = securityProtocol == .ike ? .ike : securityProtocol == .ah ? .ah : .esp
    }

    mutating func parse() throws(ProposalSyntaxError) -> Proposal {
        guard [.ike, .esp, .ah].contains(securityProtocol) else {
            throw fault(.unsupportedProtocol(securityProtocol))
        }
        try readWords()
        if securityProtocol == .ah { return try authenticationOnly() }
        let encryption = ofType(.encryption)
        guard let firstCipher = encryption.first else {
            throw fault(.encryptionMissing, suggestion: Transform.aes128gcm16.description)
        }
        if let odd = encryption.first(where: { $0.isAEAD != firstCipher.isAEAD }) { throw fault(.mixesAEAD, odd) }
        let integrity = ofType(.integrity)
        if !firstCipher.isAEAD && integrity.isEmpty {
            throw fault(.integrityMissing, firstCipher, suggestion: Transform.sha256.description)
        }

        var transforms = encryption.map(\.transform)
        if !firstCipher.isAEAD { transforms += integrity.map(\.transform) }
        let groups = ofType(.keyExchange).map(\.transform)
        if securityProtocol == .ike {
            transforms += try prfs(firstCipher, integrity)
            guard !groups.isEmpty else {
                throw fault(.keyExchangeMissing, suggestion: Transform.x25519.description)
            }
        }
        transforms += groups
        transforms += try additionalKeyExchanges(groups)
        if securityProtocol == .esp {
            let sequenceNumbers = ofType(.sequenceNumbers).map(\.transform)
            transforms += sequenceNumbers.isEmpty ? [.noesn] : sequenceNumbers
        }
        return Proposal(securityProtocol, transforms)
    }

    /// AH: integrity, and what a Child SA has besides.
    private func authenticationOnly() throws(ProposalSyntaxError) -> Proposal {
        let integrity = ofType(.integrity).map(\.transform)
        guard !integrity.isEmpty else {
            throw fault(.integrityAbsent, suggestion: Transform.sha256.description)
        }
        let sequenceNumbers = ofType(.sequenceNumbers).map(\.transform)
        return Proposal(
            .ah,
            integrity + ofType(.keyExchange).map(\.transform) + (sequenceNumbers.isEmpty ? [.noesn] : sequenceNumbers))
    }

    private mutating func readWords() throws(ProposalSyntaxError) {
        var column = 1
        for piece in text.split(separator: "-", omittingEmptySubsequences: false) {
            defer { column += piece.count + 1 }
            let word = String(piece.trimmingSpaces())
            let indent = piece.prefix { $0 == " " || $0 == "\t" }.count
            if word.isEmpty && text.allSatisfy({ $0 == " " || $0 == "\t" }) { throw fault(.empty) }
            let (additional, name) = Self.split(word.lowercased())
            guard let algorithm = algorithm(named: name) else {
                let nearest = nearestKeyword(to: name).map { additional == nil ? $0 : word.prefix(4).lowercased() + $0 }
                throw fault(.unknownWord, word, column + indent, suggestion: nearest)
            }
            if sparesIdleWords, additional == nil, let reason = idleness(of: algorithm) {
                idle.append(.init(word: word, reason: reason))
                continue
            }
            let transform = try transform(algorithm, additional, word, column + indent)
            guard !words.contains(where: { $0.transform == transform }) else {
                guard sparesIdleWords else { throw fault(.repeated, word, column + indent) }
                idle.append(.init(word: word, reason: "it stands there twice"))
                continue
            }
            words.append(Word(text: word, column: column + indent, algorithm: algorithm, transform: transform))
        }
    }

    /// AH calls AES-GMAC as ESP does, and means an algorithm of its own.
    private func algorithm(named name: String) -> Algorithm? {
        if use == .ah, name.hasSuffix("gmac"), let own = AlgorithmRegistry.algorithm(named: name + "_ah") { return own }
        return AlgorithmRegistry.algorithm(named: name)
    }

    /// Why a word of this algorithm does nothing here; nil when it does something, or is wrong.
    private func idleness(of algorithm: Algorithm) -> String? {
        guard !algorithm.uses.contains(use) else { return nil }
        switch algorithm.transform.type {
        case .prf: return "\(securityProtocol) has no PRF, which is for IKE only"
        case .sequenceNumbers: return "IKE has no sequence numbers to extend"
        case .keyExchange where algorithm.transform.id == 0: return "IKE can't do without a key exchange"
        default: return nil
        }
    }

    /// `ke2_x448`: the additional key exchange and its method (RFC 9370); nil when there is no such prefix.
    private static func split(_ word: String) -> (additional: TransformType?, name: String) {
        let octets = Array(word.utf8)
        guard octets.count > 4, word.hasPrefix("ke"), (UInt8(ascii: "1")...UInt8(ascii: "7")).contains(octets[2]),
            octets[3] == UInt8(ascii: "_")
        else { return (nil, word) }
        return (TransformType(rawValue: octets[2] - UInt8(ascii: "0") + 5), String(word.dropFirst(4)))
    }

    /// The transform that a word stands for, where it may stand.
    private func transform(
        _ algorithm: Algorithm, _ additional: TransformType?, _ word: String, _ column: Int
    ) throws(ProposalSyntaxError) -> Transform {
        guard let additional else {
            guard algorithm.uses.contains(use) else {
                throw fault(.notFor(securityProtocol), word, column, suggestion: substitute(for: algorithm))
            }
            // A key encapsulation goes beside an agreement, never in its place.
            if case .keyExchange(.mlkem) = algorithm.specification {
                throw fault(.onlyAdditional, word, column, suggestion: "ke1_\(algorithm.keyword)")
            }
            return algorithm.transform
        }
        guard algorithm.transform.type == .keyExchange else { throw fault(.notAdditional, word, column) }
        return Transform(additional, algorithm.transform.id)
    }

    /// Additional key exchanges, by their number. Each needs the first one beside it.
    private func additionalKeyExchanges(_ groups: [Transform]) throws(ProposalSyntaxError) -> [Transform] {
        let additional = words.filter { $0.transform.type.additionalKeyExchange != nil }
        if let first = additional.first, !groups.contains(where: { $0.id != 0 }) {
            throw fault(.keyExchangeBesideMissing, first, suggestion: Transform.x25519.description)
        }
        return TransformType.additionalKeyExchanges.flatMap { type in
            additional.map(\.transform).filter { $0.type == type }
        }
    }

    /// The PRFs that are named, else those that the integrity algorithms stand for.
    private func prfs(_ cipher: Word, _ integrity: [Word]) throws(ProposalSyntaxError) -> [Transform] {
        let named = ofType(.prf).map(\.transform)
        guard named.isEmpty else { return named }
        let derived = integrity.compactMap { word in
            guard case .integrity(let mac) = word.algorithm.specification else { return Transform?.none }
            return AlgorithmRegistry.prf(with: mac.function)
        }
        guard !derived.isEmpty else { throw fault(.prfMissing, cipher, suggestion: Transform.prfsha256.description) }
        return derived
    }

    /// What serves instead of an algorithm that the protocol has no use for.
    private func substitute(for algorithm: Algorithm) -> String? {
        guard securityProtocol != .ike, case .prf(let prf) = algorithm.specification else { return nil }
        return AlgorithmRegistry.integrity(with: prf.function)?.description
    }

    /// The known word with the fewest changed letters; nil when every word would need changes to most of its letters.
    private func nearestKeyword(to word: String) -> String? {
        var best: (keyword: String, distance: Int)?
        for algorithm in AlgorithmRegistry.algorithms where algorithm.uses.contains(use) {
            for keyword in algorithm.keywords {
                let distance = editDistance(Array(word.utf8), Array(keyword.utf8))
                if distance < best?.distance ?? Int.max { best = (keyword, distance) }
            }
        }
        guard let best, best.distance <= max(2, best.keyword.utf8.count / 2) else { return nil }
        return best.keyword
    }

    private func ofType(_ type: TransformType) -> [Word] { words.filter { $0.transform.type == type } }

    private func fault(
        _ problem: ProposalSyntaxError.Problem, _ word: String? = nil, _ column: Int? = nil,
        suggestion: String? = nil
    ) -> ProposalSyntaxError {
        ProposalSyntaxError(text: text, problem: problem, word: word, column: column, suggestion: suggestion)
    }

    private func fault(
        _ problem: ProposalSyntaxError.Problem, _ word: Word, suggestion: String? = nil
    ) -> ProposalSyntaxError {
        fault(problem, word.text, word.column, suggestion: suggestion)
    }
}

extension AlgorithmRegistry {
    /// The PRF built on this function.
    public static func prf(with function: MACFunction) -> Transform? {
        algorithms.first { $0.specification == .prf(.init(function: function)) }?.transform
    }

    /// The integrity algorithm built on this function: the first of them.
    public static func integrity(with function: MACFunction) -> Transform? {
        algorithms.first { algorithm in
            if case .integrity(let mac) = algorithm.specification { mac.function == function } else { false }
        }?.transform
    }
}

extension Substring {
    fileprivate func trimmingSpaces() -> Substring {
        var rest = self
        while rest.first == " " || rest.first == "\t" { rest.removeFirst() }
        while rest.last == " " || rest.last == "\t" { rest.removeLast() }
        return rest
    }
}

/// Letters to insert, delete or replace (Levenshtein). Words longer than 32 letters are not compared.
private func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    guard left.count <= 32, right.count <= 32 else { return Int.max }
    var row = Array(0...right.count)
    for (index, letter) in left.enumerated() {
        var diagonal = row[0]
        row[0] = index + 1
        for column in right.indices {
            let above = row[column + 1]
            let replaced = diagonal + (letter == right[column] ? 0 : 1)
            row[column + 1] = min(replaced, above + 1, row[column] + 1)
            diagonal = above
        }
    }
    return row[right.count]
}
