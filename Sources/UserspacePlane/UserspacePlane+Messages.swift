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
        if message.count > Self.largestUncut {
            // A long message may have to be cut, whatever the packets before it asked for.
            sockets.entries[index].fragmentation.set(true, for: sockets.entries[index].socket)
        }
        let bytes = marker ? [UInt8](repeating: 0, count: EncapsulatedDatagram.markerLength) + message : message
        do { return try sockets.entries[index].socket.send(bytes, along: path) } catch { throw .system(error) }
    }

    private func endpoints(_ use: PlaneSockets.Use) -> [Endpoint] {
        sockets.entries.filter { $0.use == use }.map { $0.socket.localEndpoint }
    }
}
