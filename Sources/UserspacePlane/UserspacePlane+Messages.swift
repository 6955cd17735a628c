import IPPackets
public import LinuxSystem
public import NetworkTypes

/// IKE messages, in and out.
extension UserspacePlane {
    /// Readable for the control thread's poller when there are messages or events; see ``acknowledge()``.
    public var descriptor: Descriptor { inbox.wakeup.descriptor }

    /// Takes the signal back. To be called before the messages and events are taken.
    public func acknowledge() { inbox.acknowledge() }

    /// IKE messages that packet threads have handed over, where those with a marker have no socket of their own; the oldest
    /// first.
    public func takeMessages() -> [IKEDatagram] { inbox.takeMessages() }

    /// The sockets that carry nothing but IKE, for the control thread's poller: see ``readMessages(_:)``.
    public var messageDescriptors: [Descriptor] { listener.descriptors }

    /// Reads some of the IKE messages that have come there, by one of ``messageDescriptors`` or by all of them,
    /// the oldest first. A socket that has more stays readable.
    public func readMessages(_ descriptor: Descriptor? = nil) -> [IKEDatagram] { listener.read(descriptor) }

    /// Where IKE without a marker is heard.
    public var ikeEndpoints: [Endpoint] { endpoints(.ike) }

    /// Where ESP in UDP and IKE with a marker are heard.
    public var sharedEndpoints: [Endpoint] { endpoints(.shared) }

    /// Sends an IKE message; false when the socket's buffer is full, and the message is lost as if on its way.
    public func send(_ message: [UInt8], along path: Path, marker: Bool) throws(PlaneError) -> Bool {
        guard let index = sockets.index(forIKEFrom: path.local, marker: marker) else {
            throw .noSocket(path.local, nil)
        }
        let entry = sockets.entries[index]
        if message.count > Self.largestUncut {
            // A long message may have to be cut, whatever the packets before it asked for.
            entry.fragmentation.set(true, for: entry.socket)
        }
        do {
            guard marker else { return try entry.socket.send(message, along: path) }
            var bytes: [UInt8] = []
            bytes.reserveCapacity(EncapsulatedDatagram.markerLength + message.count)
            for _ in 0..<EncapsulatedDatagram.markerLength { bytes.append(0) }
            bytes.append(contentsOf: message)
            return try entry.socket.send(bytes, along: path)
        } catch { throw .system(error) }
    }

    private func endpoints(_ use: PlaneSockets.Use) -> [Endpoint] {
        sockets.entries.filter { $0.use == use }.map { $0.socket.localEndpoint }
    }
}
