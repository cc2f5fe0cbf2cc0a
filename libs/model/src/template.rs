//! Templates: what can stand in those of texts that agents send, and how any are filled.

/// What a template's `{field}` can be: the agent's name, the customer's, the number that is texted, the number that it leaves from, the
/// skillset, and what the agent types in as an order number.
pub const TEMPLATE_FIELDS: [&str; 6] = ["agent", "name", "caller", "number", "skillset", "order"];

/// The fields of a template in their order, known or not: lower-case letters in braces. Other braces are text.
pub fn template_fields(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        let is_name = |b: u8| b.is_ascii_lowercase() || b == b'_';
        (!name.is_empty() && name.bytes().all(is_name)).then_some(name)
    })
}

/// Fills a template's `{words}` in one pass, so that a text which looks like one stays as it is. Unknown ones stay.
pub fn fill(template: &str, word: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open..];
        let known = rest
            .find('}')
            .and_then(|close| Some((word(&rest[1..close])?, close)));
        let (text, used) = match &known {
            Some((text, close)) => (text.as_str(), close + 1),
            None => ("{", 1),
        };
        filled.push_str(text);
        rest = &rest[used..];
    }
    filled.push_str(rest);
    filled
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

    #[test]
    fn templates_are_filled_once() {
        let word = |w: &str| (w == "a").then(|| "{b}".to_owned());
        assert_eq!(fill("{a} {b} {", word), "{b} {b} {");
    }
}
