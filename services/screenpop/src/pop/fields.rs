//! Templates' fields, filled with what the page knows. Pure.

use super::words::with;
use ccm_model::{TEMPLATE_FIELDS, template_fields};

/// What the page knows; empty: nothing.
pub struct Known<'a> {
    pub agent: &'a str,
    pub name: &'a str,
    pub caller: &'a str,
    pub number: &'a str,
    pub skillset: &'a str,
    pub order: &'a str,
}

impl Known<'_> {
    /// The text with its fields filled, as far as something is known for them.
    pub fn fill(&self, text: &str) -> String {
        let about = [
            ("agent", self.agent),
            ("name", self.name),
            ("caller", self.caller),
            ("number", self.number),
            ("skillset", self.skillset),
            ("order", self.order),
        ];
        let known: Vec<_> = about.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        with(text, &known)
    }
}

/// The fields that a text still has, each once, in their order.
pub fn unfilled(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in template_fields(text).filter(|name| TEMPLATE_FIELDS.contains(name)) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_filled_and_the_rest_is_named() {
        let known = Known {
            agent: "Mary",
            name: "Ann",
            caller: "+353861234567",
            number: "",
            skillset: "",
            order: "",
        };
        let text = "{name}, {agent} here: order {order}, {order}, from {number} to {caller}; {smile} {";
        let filled = known.fill(text);
        assert_eq!(
            filled,
            "Ann, Mary here: order {order}, {order}, from {number} to +353861234567; {smile} {"
        );
        assert_eq!(unfilled(&filled), ["order", "number"]);
        assert!(unfilled("no field {smile}").is_empty());
    }
}
