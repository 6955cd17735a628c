public import WireFormat

/// A message from the kernel.
public struct NetlinkMessage: Hashable, Sendable {
    /// What it is: RTM_…, XFRM_MSG_…, or 2 for an error and 3 for the end of a list.
    public let type: UInt16
    /// How.
    public let flags: NetlinkFlags
    /// The number of the request that it answers; 0 for an event.
    public let sequence: UInt32
    /// What follows the header.
    public let payload: ArraySlice<UInt8>

    /// Takes apart what one receive call gave.
    public static func parse(_ bytes: ArraySlice<UInt8>) throws(WireError) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var reader = NetlinkReader(bytes)
        while reader.remaining > 0 {
            let length = Int(try reader.uint32("message length"))
            let type = try reader.uint16("message type")
            let flags = NetlinkFlags(rawValue: try reader.uint16("message flags"))
            let sequence = try reader.uint32("message sequence number")
            try reader.skip(4, "message port")
            let payload = try reader.bytes(length - 16, "message")
            reader.align()
            messages.append(NetlinkMessage(type: type, flags: flags, sequence: sequence, payload: payload))
        }
        return messages
    }
}
