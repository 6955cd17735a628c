import Clockwork
import GatewayModel
import IKECore
import NetworkTypes

/// What a scenario's hosts are told to do, and in what weather.
extension ScenarioGenerator {
    mutating func storm() -> LinkBehaviour {
        var link = LinkBehaviour(delay: dice.interval(.milliseconds(1), .milliseconds(300)))
        link.loss = profile == .echo ? 0 : loss
        link.duplication = dice.chance(0.8) ? 0.15 : 0
        link.reordering = dice.chance(0.8) ? 0.15 : 0
        link.corruption = dice.chance(0.5) && profile != .echo ? 0.03 : 0
        link.jitter = dice.interval(.zero, .milliseconds(500))
        link.holdBack = dice.interval(.milliseconds(100), profile == .echo ? .seconds(2) : .seconds(20))
        return link
    }

    mutating func timing() -> AnswerTiming {
        if profile == .calm || profile == .echo {
            return AnswerTiming(atOnce: dice.chance(0.5) ? 1 : 0.3, never: 0, latest: .milliseconds(100))
        }
        return AnswerTiming(
            atOnce: dice.pick(1, 0.7, 0.3), never: dice.chance(0.3) ? 0.1 : 0,
            latest: dice.chance(0.2) ? .seconds(12) : .milliseconds(800))
    }

    /// What happens before the faults end.
    mutating func steps(_ scenario: Scenario) -> [Scenario.Step] {
        var steps: [Scenario.Step] = []
        if profile == .calm {
            let pair = scenario.pairs[0]
            let host = pair.bothWays && dice.chance(0.5) ? pair.right : pair.left
            return [step(.seconds(1), .command(host: host, .initiate(connection: pair.connection, child: "net")))]
        }
        for pair in scenario.pairs {
            let start = dice.interval(.zero, .seconds(5))
            steps.append(step(start, initiate(pair, pair.left)))
            if pair.bothWays, profile == .collision || (profile != .echo && dice.chance(0.3)) {
                let lag: Interval = dice.chance(0.4) ? .zero : dice.interval(.zero, .seconds(2))
                steps.append(step(start + lag, initiate(pair, pair.right)))
            }
        }
        if profile == .echo { return steps }
        let end = scenario.faultsEnd - Instant.zero
        if dice.chance(0.3) {
            // Packets that find no tunnel say so many times.
            let pair = scenario.pairs[dice.below(scenario.pairs.count)]
            let start = dice.interval(.zero, .seconds(20))
            for _ in 0..<100 {
                steps.append(
                    step(
                        min(start + dice.interval(.zero, .seconds(30)), end),
                        .acquire(host: pair.left, connection: pair.connection, child: "net")))
            }
        }
        if profile == .roaming { steps += roaming(scenario, until: end) }
        for _ in 0..<dice.below(8) {
            steps.append(step(dice.interval(.zero, end), action(scenario)))
        }
        if profile == .handover {
            for _ in 0..<(5 + dice.below(20)) {
                let host = dice.below(scenario.gateways.count)
                let patience = dice.interval(.zero, .seconds(8))
                steps.append(step(dice.interval(.seconds(1), end), .handOver(host: host, patience: patience)))
            }
        }
        for _ in 0..<(dice.below(12) + (profile == .rekey ? 20 : 0)) {
            steps.append(step(dice.interval(.seconds(2), end), .traffic))
        }
        return steps
    }

    /// The client has other addresses now and then; its gateway may have a second one, and each of them may fail.
    private mutating func roaming(_ scenario: Scenario, until end: Interval) -> [Scenario.Step] {
        var steps: [Scenario.Step] = []
        var number: UInt128 = 100
        func next(_ index: Int) -> IPAddress {
            number += 1
            let address = scenario.gateways[index].address
            return IPAddress(address.family, bits: address.bits + number)
        }
        for _ in 0..<(1 + dice.below(8)) {
            let former = scenario.gateways[0].address
            let hidden = scenario.gateways[0].box?.inside
            let place = dice.chance(0.3) ? hidden ?? former : dice.chance(0.2) ? former : next(0)
            let others = dice.chance(0.3) && place != former ? [former] : []
            steps.append(step(dice.interval(.seconds(1), end), .move(host: 0, to: [place] + others)))
        }
        guard dice.chance(0.6) else { return steps }
        let gateway = [scenario.gateways[1].address, next(1)]
        steps.append(step(.zero, .move(host: 1, to: gateway)))
        for _ in 0..<dice.below(5) {
            let address = dice.pick(gateway[0], gateway[1])
            let start = dice.interval(.seconds(1), end)
            steps.append(step(start, .obstruct(host: 1, address, true)))
            steps.append(
                step(start + dice.interval(.seconds(5), .seconds(90)), .obstruct(host: 1, address, false)))
        }
        if dice.chance(0.3) {
            steps.append(step(dice.interval(.seconds(1), end), .move(host: 1, to: [gateway[0], next(1)])))
        }
        return steps
    }

    private func step(_ time: Interval, _ action: Action) -> Scenario.Step {
        Scenario.Step(time: .zero + time, action: action)
    }

    private mutating func initiate(_ pair: Scenario.Pair, _ host: Int) -> Action {
        if dice.chance(0.15) { return .acquire(host: host, connection: pair.connection, child: "net") }
        let child: String? = dice.chance(0.7) ? "net" : nil
        return .command(host: host, .initiate(connection: pair.connection, child: child))
    }

    private mutating func action(_ scenario: Scenario) -> Action {
        let pair = scenario.pairs[dice.below(scenario.pairs.count)]
        let host = dice.chance(0.5) ? pair.left : pair.right
        let starter = pair.bothWays ? host : pair.left
        if profile == .restart, dice.chance(0.4) { return .restart(host: host) }
        let boxes = scenario.gateways.filter { $0.box != nil }.count
        if boxes > 0, dice.chance(profile == .nat ? 0.3 : 0.1) { return .rebind(box: dice.below(boxes)) }
        if profile.rekeys, dice.chance(0.4) {
            let connection = pair.connection
            let target: Command.Target =
                dice.chance(0.7) ? .child("net", connection: connection) : .connection(connection)
            return .command(host: host, .rekey(target))
        }
        switch dice.below(10) {
        case 0, 1, 2, 3: return initiate(pair, starter)
        case 4, 5: return .command(host: host, .terminate(.connection(pair.connection)))
        case 6: return .command(host: host, .terminate(.child("net", connection: pair.connection)))
        case 7: return .cutOff(host: host, dice.interval(.seconds(1), .seconds(90)))
        case 8: return .leap(host: host, dice.interval(.milliseconds(100), .seconds(60)))
        default: return .restart(host: host)
        }
    }
}
