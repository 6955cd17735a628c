/// Carries something that cannot be copied to the thread that is to have it.
///
/// `@unchecked`: it is filled before the thread starts and emptied by that thread alone.
final class Handover<Value: ~Copyable>: @unchecked Sendable {
    private var value: Value?

    init(_ value: consuming Value) { self.value = consume value }

    /// Takes the value out; nil when somebody has.
    func take() -> Value? { value.take() }
}
