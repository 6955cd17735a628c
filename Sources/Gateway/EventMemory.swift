import GatewayModel

/// The last events, for whoever asks what has happened lately.
///
/// It owns so many and no more: each new one takes the place of the oldest.
struct EventMemory {
    static let size = 1024
    private var events: [Event] = []
    /// Where the oldest is, once there are enough.
    private var oldest = 0

    mutating func append(_ event: Event) {
        if events.count < Self.size {
            events.append(event)
        } else {
            events[oldest] = event
            oldest = (oldest + 1) % Self.size
        }
    }

    /// The oldest first.
    var inOrder: ArraySlice<Event> { events[oldest...] + events[..<oldest] }
}
