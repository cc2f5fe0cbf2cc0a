//! Templates of texts that agents send: what can stand in them.

/// What a template's `{field}` can be: the agent's name, the number that is texted, the number that it leaves from, the
/// skillset, and what the agent types in as an order number.
pub const TEMPLATE_FIELDS: [&str; 5] = ["agent", "caller", "number", "skillset", "order"];

/// The fields of a template in their order, known or not: lower-case letters in braces. Other braces are text.
pub fn template_fields(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        let is_name = |b: u8| b.is_ascii_lowercase() || b == b'_';
        (!name.is_empty() && name.bytes().all(is_name)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_names_in_braces() {
        let fields = |text| template_fields(text).collect::<Vec<_>>();
        assert_eq!(fields("{agent} here, order {order}: {}"), ["agent", "order"]);
        assert_eq!(
            fields("a {nam} { agent} {Agent} {agent {order}}"),
            ["nam", "order"]
        );
        assert!(fields("none").is_empty());
    }
}
