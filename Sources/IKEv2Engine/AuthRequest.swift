import IKEMessages

/// An IKE_AUTH request that says who the initiator is, and where it came from: what is gone back to until it is answered.
final class AuthRequest {
    /// What it says.
    let body: IKEAuth.Request.Identified
    /// Its header.
    let header: IKEHeader
    /// The place to answer to.
    let arrival: Arrival

    init(_ body: IKEAuth.Request.Identified, _ header: IKEHeader, _ arrival: Arrival) {
        self.body = body
        self.header = header
        self.arrival = arrival
    }
}
