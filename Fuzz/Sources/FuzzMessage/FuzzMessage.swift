// A datagram as it comes from anybody: parsing, describing, writing again, and the exchanges in clear.
import FuzzSupport
import IKEMessages

/// One input is one datagram.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMessage(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe Fuzz.octets(start, count)
    do {
        switch try ReceivedMessage(parsing: bytes) {
        case .clear(let message):
            _ = Fuzz.observe(message.description)
            requireFixpoint(message)
            exchanges(message)
        case .sealed(let message):
            _ = Fuzz.observe(message.description)
            Fuzz.require(message.bytes == bytes, "a sealed message keeps its octets")
        }
    } catch {
        _ = Fuzz.observe(error.description)
    }
    if let header = try? IKEHeader(peeking: bytes) { _ = Fuzz.observe(header.version.description) }
    return 0
}

/// What was read can be written, and is then read as the same.
private func requireFixpoint(_ message: Message) {
    do {
        let written = try message.encoded()
        let again = try Message(parsing: written)
        Fuzz.require(again == message, "what is written is read as the same")
        Fuzz.require(try again.encoded() == written, "writing is canonical")
    } catch {
        fatalError("what was read can't be written: \(error)")
    }
}

private func exchanges(_ message: Message) {
    func require<Exchange: Equatable>(
        _ first: Exchange?, _ payloads: (Exchange) -> [Payload], _ parse: (Message) throws -> Exchange
    ) {
        guard let first else { return }
        let again = try? parse(Message(message.header, payloads(first)))
        Fuzz.require(again == first, "an exchange survives its own payloads")
    }
    require(try? IKESAInit.Request(message), { $0.payloads }) { try IKESAInit.Request($0) }
    require(try? IKESAInit.Response(message), { $0.payloads }) { try IKESAInit.Response($0) }
    require(try? IKESessionResume.Request(message), { $0.payloads }) { try IKESessionResume.Request($0) }
    require(try? IKESessionResume.Response(message), { $0.payloads }) { try IKESessionResume.Response($0) }
    require(try? UnprotectedNotification(message), { $0.payloads }) { try UnprotectedNotification($0) }
}
