import IPsecCrypto

/// Reads lists of proposals.
///
/// It owns the word `default` and the warnings about weak algorithms and words that do nothing. The words for algorithms are IPsecCrypto's.
enum ProposalReader {
    /// The proposals of a key, those of `default` when there are none.
    static func proposals(
        _ reader: inout SectionReader, _ key: String, for securityProtocol: SecurityProtocol
    ) -> [Proposal] {
        let defaults = Proposal.defaults(for: securityProtocol)
        var proposals: [Proposal] = []
        var idle: [Proposal.IdleWord] = []
        for proposal in reader.readList(
            key, or: defaults,
            { text throws(ValueProblem) -> [Proposal] in
                // Nothing is ever added to what is written, which is what the mark of ipsec.conf asks for.
                let text = text.hasSuffix("!") ? String(text.dropLast()) : text
                if text.lowercased() == "default" { return defaults }
                do throws(ProposalSyntaxError) {
                    return [try Proposal(reading: text, for: securityProtocol, idle: &idle)]
                } catch {
                    let parts = error.description.split(separator: "; ").map(String.init)
                    throw ValueProblem(
                        parts.count > 1 ? parts.dropLast().joined(separator: "; ") : error.description,
                        remedy: parts.count > 1
                            ? parts.last : "write keywords joined by hyphens, as aes256gcm16-prfsha384-ecp384")
                }
            })
        where !proposals.contains(proposal) { proposals.append(proposal) }
        if proposals.isEmpty { proposals = defaults }
        for word in idle {
            reader.diagnostics.warning(
                reader.location(of: key), "\(reader.path).\(key): '\(word.word)' does nothing here: \(word.reason)",
                remedy: "remove it")
        }
        for proposal in proposals {
            for transform in proposal.transforms {
                guard let algorithm = AlgorithmRegistry.algorithm(for: transform), let weakness = algorithm.weakness
                else { continue }
                reader.diagnostics.warning(
                    reader.location(of: key), "\(reader.path).\(key): \(algorithm.keyword) is weak: \(weakness)",
                    remedy: "leave it out where the peer has anything better")
            }
        }
        return proposals
    }
}
