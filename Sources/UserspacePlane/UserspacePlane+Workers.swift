import Clockwork
import ESPEngine
import GatewayModel
import LinuxSystem

/// The packet threads of a plane, two for each worker: how they start, what is waited for, how they end.
extension UserspacePlane {
    /// Starts the two threads of a worker.
    func start(
        _ index: Int, _ port: any PacketPort, _ sockets: PlaneSockets, _ configuration: PlaneConfiguration
    ) throws(SystemError) {
        let (receiveDrops, transmitDrops) = (DropCounters(), DropCounters())
        dropCounters += [receiveDrops, transmitDrops]
        let receiver = Handover(
            try ReceiveWorker(
                orders: receiveOrders, index: index, sender: transmitOrders, inbox: inbox, echo: listener.echo,
                sockets: sockets,
                port: port, drops: receiveDrops, now: MonotonicClock.now()))
        let transmitter = Handover(
            try TransmitWorker(
                orders: transmitOrders, index: index, inbox: inbox, sockets: sockets, port: port, drops: transmitDrops,
                makesTrains: configuration.offload == .automatic,
                bypassMark: routes == nil ? nil : configuration.mark, failure: failures))
        let suffix = index == 0 ? "" : "-\(index)"
        threads.append(
            try WorkerThread(name: "martlet-receive" + suffix) {
                guard var worker = receiver.take() else { return }
                worker.run()
            })
        threads.append(
            try WorkerThread(name: "martlet-send" + suffix) {
                guard var worker = transmitter.take() else { return }
                worker.run()
            })
    }

    /// A worker that is about to start stays still until it has its SAs: what comes meanwhile waits outside.
    func restFirst(_ index: Int) throws(SystemError) {
        let (received, transmitted) = (try Rest(), try Rest())
        receiveOrders.queues[index].append(.rest(received))
        transmitOrders.queues[index].append(.rest(transmitted))
        rests += [received, transmitted]
    }

    /// Ends them all.
    func stopThreads() {
        goOn()
        receiveOrders.append(.stop)
        transmitOrders.append(.stop)
        wakeWorkers()
        for thread in threads { thread.join() }
        threads = []
    }

    /// Waits until both threads have carried out everything that was asked so far; false when ten seconds are over first.
    @discardableResult
    public func settle() -> Bool {
        var milestones: [Milestone] = []
        for worker in receiveOrders.queues.indices {
            guard let received = try? Milestone(), let transmitted = try? Milestone() else { return false }
            receiveOrders.queues[worker].append(.reach(received))
            transmitOrders.queues[worker].append(.reach(transmitted))
            milestones += [received, transmitted]
        }
        wakeWorkers()
        return milestones.allSatisfy { $0.wait(milliseconds: 10_000) }
    }

    /// A device that leaves as much undone as this kernel's can.
    static func device(
        _ name: String, _ offload: PlaneConfiguration.Offload, multiQueue: Bool = false
    ) throws(SystemError) -> TunDevice {
        guard offload == .automatic,
            let tun = try? TunDevice(nameTemplate: name, virtioHeader: true, multiQueue: multiQueue)
        else { return try TunDevice(nameTemplate: name, multiQueue: multiQueue) }
        let all: TunOffload = [.checksum, .tcp4, .tcp6, .tcpECN]
        for wanted in [all.union([.udp4, .udp6]), all, [.checksum, .tcp4, .tcp6]] {
            if (try? tun.setOffload(wanted)) != nil { break }
        }
        return tun
    }
}
