import Clockwork

/// What will happen when: a heap, in which what was planned first comes first at equal times.
struct Agenda<Element> {
    private var heap: [(time: Instant, order: UInt64, element: Element)] = []
    private var nextOrder: UInt64 = 0

    /// When the next thing happens.
    var earliest: Instant? { heap.first?.time }

    /// Plans something.
    mutating func add(_ time: Instant, _ element: Element) {
        heap.append((time, nextOrder, element))
        nextOrder += 1
        var child = heap.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Takes out what happens next.
    mutating func take() -> Element? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first.element }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) {
                least = child
            }
            guard least != parent else { return first.element }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        (heap[left].time, heap[left].order) < (heap[right].time, heap[right].order)
    }
}
