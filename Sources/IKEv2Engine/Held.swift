/// A value that a state keeps behind one reference.
///
/// The compiler tracks every stored leaf of a noncopyable state apart, in every function that consumes it; a message or
/// a refusal with hundreds of leaves inside one makes that analysis take minutes. Behind a reference it is one leaf.
@propertyWrapper
final class Held<Value> {
    let wrappedValue: Value

    init(wrappedValue: Value) {
        self.wrappedValue = wrappedValue
    }
}

extension Held: Equatable where Value: Equatable {
    static func == (left: Held, right: Held) -> Bool { left === right || left.wrappedValue == right.wrappedValue }
}

extension Held: Hashable where Value: Hashable {
    func hash(into hasher: inout Hasher) { hasher.combine(wrappedValue) }
}
