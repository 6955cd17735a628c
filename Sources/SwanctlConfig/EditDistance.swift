/// How many letters have to change to turn one word into another.
public enum EditDistance {
    /// The number of letters put in, left out, exchanged, or swapped with their neighbour.
    static func between(_ first: String, _ second: String) -> Int {
        let a = Array(first.utf8.prefix(64)), b = Array(second.utf8.prefix(64))
        var rows = [Array(0...b.count)]
        for i in 0..<a.count {
            var row = [i + 1]
            for j in 0..<b.count {
                var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }

    /// The word nearest to `word`, the first of equals; nil when none is near enough to be meant.
    public static func nearest(to word: String, among candidates: [String]) -> String? {
        let limit = max(2, word.utf8.count / 3)
        var best: (distance: Int, candidate: String)?
        for candidate in candidates.prefix(2_000) where abs(candidate.utf8.count - word.utf8.count) <= limit {
            let distance = between(word, candidate)
            if distance <= limit, distance < best?.distance ?? Int.max { best = (distance, candidate) }
        }
        return best?.candidate
    }
}
