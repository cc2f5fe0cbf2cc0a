use serde_json::Value;

/// What people look for first.
const FIRST: [&str; 13] = [
    "apiVersion",
    "id",
    "slug",
    "name",
    "address",
    "kind",
    "link",
    "account",
    "skillset",
    "url",
    "accounts",
    "links",
    "skillsets",
];

/// As a block, with nothing quoted that need not be. Reading it gives the same value again.
pub fn write(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(members) if !members.is_empty() => map(value, 0, &mut text),
        Value::Array(items) if !items.is_empty() => list(value, 0, &mut text),
        other => {
            text.push_str(&flat(other));
            text.push('\n');
        }
    }
    text
}

fn map(value: &Value, depth: usize, to: &mut String) {
    let mut members: Vec<_> = value.as_object().into_iter().flatten().collect();
    members.sort_by_key(|(name, _)| {
        FIRST
            .iter()
            .position(|first| first == name)
            .unwrap_or(FIRST.len())
    });
    for (n, (name, value)) in members.into_iter().enumerate() {
        if n > 0 {
            indent(depth, to);
        }
        to.push_str(&scalar(name));
        to.push(':');
        member(value, depth, to);
    }
}

fn member(value: &Value, depth: usize, to: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            to.push('\n');
            indent(depth + 1, to);
            map(value, depth + 1, to);
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            to.push('\n');
            indent(depth + 1, to);
            list(value, depth + 1, to);
        }
        Value::String(text) if is_block(text) => block(text, depth + 1, to),
        other => {
            to.push(' ');
            to.push_str(&flat(other));
            to.push('\n');
        }
    }
}

fn list(value: &Value, depth: usize, to: &mut String) {
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        if n > 0 {
            indent(depth, to);
        }
        to.push_str("- ");
        match item {
            Value::Object(members) if !members.is_empty() => map(item, depth + 1, to),
            Value::Array(items) if !items.is_empty() => list(item, depth + 1, to),
            other => {
                to.push_str(&flat(other));
                to.push('\n');
            }
        }
    }
}

/// Lines such as a certificate's.
fn is_block(text: &str) -> bool {
    let plain =
        |c: char| c == '\n' || !(c.is_control() || c == '\u{feff}' || c == '\u{2028}' || c == '\u{2029}');
    text.ends_with('\n')
        && !text.ends_with("\n\n")
        && text.trim() != ""
        && text.chars().all(plain)
        && !text.starts_with([' ', '\n'])
}

fn block(text: &str, depth: usize, to: &mut String) {
    to.push_str(" |\n");
    for line in text.lines() {
        if !line.is_empty() {
            indent(depth, to);
            to.push_str(line);
        }
        to.push('\n');
    }
}

/// On one line.
fn flat(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => scalar(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(flat).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Number(number) => match number.as_f64() {
            Some(n) if number.is_f64() && n.fract() == 0.0 && n.abs() < 1e15 => format!("{n:.0}"),
            _ => number.to_string(),
        },
        // An empty one: all others have lines of their own, or stand in a list that has.
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| format!("{}: {}", scalar(name), flat(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Quoted unless every reader takes it for the text that it is.
fn scalar(text: &str) -> String {
    let first = |c: char| c.is_alphabetic() || c == '/' || c == '_';
    let inner = |c: char| c.is_alphanumeric() || " /_.+()'<>;=$^~".contains(c) || c == '-';
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(first)
        && text.chars().all(inner)
        && !text.ends_with(' ')
        && !words.contains(&text.to_lowercase().as_str());
    // Addresses have colons, which only a space behind makes special.
    let address = text.split_once("://").is_some_and(|(scheme, rest)| {
        let inner = |c: char| c.is_ascii_alphanumeric() || "/_.-:@*".contains(c);
        scheme.chars().all(|c| c.is_ascii_lowercase()) && rest.chars().all(inner) && !rest.ends_with(':')
    });
    match plain || address {
        true => text.to_owned(),
        // JSON's strings are YAML's, but for what JSON leaves as it is and YAML does not print.
        false => Value::from(text)
            .to_string()
            .replace('\u{7f}', "\\x7f")
            .replace('\u{85}', "\\x85")
            .replace('\u{feff}', "\\ufeff"),
    }
}

fn indent(depth: usize, to: &mut String) {
    to.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_again() {
        let value = json!({
            "plain": "WC_Default_Skillset", "number": "+14155550123", "digits": "1234", "yes": "no", "empty": "",
            "url": "wss://aacc.example.com:8445/CustomerControllerWeb/chat", "odd": "a: b # c", "star": "http://***@p:1",
            "pem": "-----BEGIN CERTIFICATE-----\nMIIB\n\nx=\n-----END CERTIFICATE-----\n", "lines": "a\nb", "tab": "a\tb\n",
            "ends": "x\n\n", "null": null, "t": true, "n": 10.5, "i": 3, "list": ["a", 1, "- b"], "none": [], "nothing": {},
            "deep": [{"a": [{"b": {"c": [[1, 2], {"d": "e"}]}}], "f": "Grüße, „Welt“"}, {}, []],
            "nel": "a\u{85}b\u{feff}\u{7f}", "words": {"de-AT": "Servus!", "en": "O'Hara's \"best\""}
        });
        let text = write(&value);
        let read = parse(&text)
            .unwrap_or_else(|e| panic!("{e}\n{text}"))
            .value(None)
            .unwrap();
        assert_eq!(read, value, "{text}");
        assert!(text.contains("plain: WC_Default_Skillset\n"), "{text}");
        assert!(text.contains("pem: |\n  -----BEGIN"), "{text}");
        assert!(text.contains("- a:\n      - b:\n"), "{text}");
    }
}
