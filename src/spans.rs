//! The spans that only traces have: not even at `--log trace` are they in the log, where the
//! span of a line is that of its call. A leaf that every layer may import.

/// The target of such spans.
pub const TARGET: &str = "rollcall::spans";

/// The name of a flow, from the type of a closure in it: `exchange::rotate`. For people;
/// nothing depends on it.
#[must_use]
pub fn flow_name<T>() -> String {
    let path = std::any::type_name::<T>();
    // `a::b::<impl x::Y>::c::{{closure}}` is c in the module b, `a::Y::c::{{closure}}` c of Y.
    let mut plain = String::with_capacity(path.len());
    let mut depth = 0_usize;
    for c in path.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let parts = plain
        .split("::")
        .filter(|part| !part.is_empty() && !part.starts_with('{'));
    let parts: Vec<&str> = parts.collect();
    parts[parts.len().saturating_sub(2)..].join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Flows;

    impl Flows {
        fn name_of_a_step(&self) -> String {
            fn name<T>(_: &T) -> String {
                flow_name::<T>()
            }
            let step = async |_: &Self| ();
            name(&step)
        }
    }

    #[test]
    fn name_of_a_flow_is_its_function_and_where_that_is() {
        assert_eq!(Flows.name_of_a_step(), "Flows::name_of_a_step");
    }
}
