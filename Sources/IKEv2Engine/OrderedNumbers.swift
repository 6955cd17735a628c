import GatewayModel

/// Numbers in their order. New ones are nearly always the largest.
extension [IKESAID] {
    /// Where `id` is or belongs.
    private func place(of id: IKESAID) -> Int {
        var (lower, upper) = (0, count)
        while lower < upper {
            let middle = lower + (upper - lower) / 2
            if self[middle] < id { lower = middle + 1 } else { upper = middle }
        }
        return lower
    }

    mutating func putIn(_ id: IKESAID) {
        if last.map({ $0 < id }) ?? true { append(id) } else { insert(id, at: place(of: id)) }
    }

    mutating func takeOut(_ id: IKESAID) {
        let place = place(of: id)
        if place < count, self[place] == id { remove(at: place) }
    }
}
