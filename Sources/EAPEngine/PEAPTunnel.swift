import GatewayModel
import WireFormat

/// What travels inside PEAP version 0 (draft-kamath-pppext-peapv0-00 §1.1 and §2): EAP packets without their header, and
/// at the end a whole packet of type 33 with the result.
enum PEAPMessage {
    /// The type of the packet with the result.
    static let extensions = EAPPacket.Kind(rawValue: 33)

    /// A packet with the result: TLV type 3, mandatory, of two octets; 1 for success, 2 for failure.
    static func result(_ code: EAPPacket.Code, _ identifier: UInt8, isSuccess: Bool) -> [UInt8] {
        EAPPacket(code, identifier, extensions, [0x80, 0x03, 0x00, 0x02, 0x00, isSuccess ? 1 : 2]).encoded
    }

    /// The result in a packet; nil when it is no such packet.
    static func result(in octets: [UInt8], _ code: EAPPacket.Code) throws(EAPProblem) -> Bool? {
        guard octets.count >= 5, octets[0] == code.rawValue, octets[4] == extensions.rawValue,
            Int(octets[2]) << 8 | Int(octets[3]) == octets.count
        else { return nil }
        do throws(WireError) {
            var reader = WireReader(octets.span)
            try reader.skip(5, "PEAP header")
            while !reader.isAtEnd {
                let type = try reader.uint16("TLV type")
                let value = try reader.bytes(Int(try reader.uint16("TLV length")), "TLV value")
                if type & 0x3fff == 3 { return value == [0, 1] }
            }
        } catch {
            throw .malformed("PEAP: \(error)")
        }
        throw .malformed("PEAP: an extension without a result")
    }

    /// A packet without its header.
    static func bare(_ packet: [UInt8]) -> [UInt8] { Array(packet.dropFirst(4)) }

    /// A packet with its header again.
    static func whole(_ bare: [UInt8], _ code: EAPPacket.Code, _ identifier: UInt8) throws(EAPProblem) -> [UInt8] {
        guard let kind = bare.first, bare.count <= EAPPacket.longest - 4 else {
            throw .malformed("PEAP: an empty packet")
        }
        return EAPPacket(code, identifier, .init(rawValue: kind), Array(bare.dropFirst())).encoded
    }
}

/// The server inside PEAP.
struct PEAPServer: ServerTunnel {
    private let terms: EAPServer.Terms
    private var inner: EAPServer?
    private var ending: TunnelStep?

    /// With the methods that the terms allow inside.
    init(_ terms: EAPServer.Terms) { self.terms = terms.inside }

    mutating func open(next: UInt8, _ surroundings: inout EAPSurroundings) -> TunnelStep? {
        guard inner == nil else { return .failed(.malformed("PEAP: silence out of turn")) }
        var started = EAPServer(terms)
        started.nextIdentifier = next
        let step = started.step(nil, &surroundings)
        inner = started
        return take(step, next)
    }

    mutating func receive(
        _ octets: [UInt8], next: UInt8, _ surroundings: inout EAPSurroundings
    ) -> TunnelStep {
        do throws(EAPProblem) {
            if let ending {
                // Success takes both ends' word for it.
                guard try PEAPMessage.result(in: octets, .response) == true else {
                    if case .failed = ending { return ending }
                    return .failed(.refused(method: EAPMethod.peap.rawValue))
                }
                return ending
            }
            guard inner != nil else { return open(next: next, &surroundings) ?? .failed(.malformed("PEAP")) }
            let packet = try PEAPMessage.whole(octets, .response, inner?.identifier ?? 0)
            // Inside, requests bear the numbers of those outside.
            inner?.nextIdentifier = next
            guard let step = inner?.step(packet, &surroundings) else { throw .malformed("PEAP") }
            return take(step, next)
        } catch {
            return .failed(error)
        }
    }

    private mutating func take(_ step: EAPStep, _ next: UInt8) -> TunnelStep {
        switch step {
        case .send(let request): return .send(PEAPMessage.bare(request))
        case .success(_, let outcome): ending = .done(outcome.identity?.eapName ?? [])
        case .failure(_, let problem): ending = .failed(problem)
        }
        if case .done? = ending { return .send(PEAPMessage.result(.request, next, isSuccess: true)) }
        return .send(PEAPMessage.result(.request, next, isSuccess: false))
    }
}

/// The peer inside PEAP.
struct PEAPPeer: PeerTunnel {
    private var inner: EAPPeer
    private(set) var isDone = false

    /// With these methods, as this name.
    init(_ methods: [EAPMethod], name: [UInt8]) { inner = EAPPeer(EAPRules(methods: methods), name: name) }

    mutating func open(_ surroundings: inout EAPSurroundings) -> [UInt8]? { nil }

    mutating func receive(
        _ octets: [UInt8], identifier: UInt8, _ surroundings: inout EAPSurroundings
    ) throws(EAPProblem) -> [UInt8] {
        if let isSuccess = try PEAPMessage.result(in: octets, .request) {
            // The server's word counts when what is inside is done, and not before.
            guard isSuccess else { return PEAPMessage.result(.response, octets[1], isSuccess: false) }
            guard inner.isReady else { throw .malformed("PEAP: success before what is inside was done") }
            isDone = true
            return PEAPMessage.result(.response, octets[1], isSuccess: true)
        }
        switch inner.step(try PEAPMessage.whole(octets, .request, identifier), &surroundings) {
        case .send(let response): return PEAPMessage.bare(response)
        case .success: throw .malformed("PEAP: a bare success")
        case .failure(_, let problem): throw problem
        }
    }
}
