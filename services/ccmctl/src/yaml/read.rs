use crate::spec::schema::Schema;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};
use std::fmt;

/// What is wrong with a file, and where.
#[derive(Debug)]
pub struct Wrong {
    pub line: usize,
    pub what: String,
    pub remedy: String,
}

/// A value with its line.
#[derive(Debug, Clone)]
pub struct Node {
    pub line: usize,
    pub kind: Kind,
}

#[derive(Debug, Clone)]
pub enum Kind {
    /// As it was written: what it means depends on who reads it. Quoted, it is a text in any case.
    Scalar {
        text: String,
        quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone)]
pub struct Key {
    pub line: usize,
    pub name: String,
}

impl Wrong {
    pub fn at(line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// The one document of a file.
pub fn parse(text: &str) -> Result<Node, Wrong> {
    let mut events = Events(Parser::new_from_str(text));
    let mut found = None;
    loop {
        match events.next()? {
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (Event::StreamEnd, span) => {
                let line = span.start.line();
                return found
                    .ok_or_else(|| Wrong::at(line, "there is nothing in it", "write what is wanted"));
            }
            (_, span) if found.is_some() => {
                return Err(Wrong::at(
                    span.start.line(),
                    "a second document begins",
                    "put each into a file of its own",
                ));
            }
            (event, span) => found = Some(events.node(event, span)?),
        }
    }
}

struct Events<'t>(Parser<'t, saphyr_parser::StrInput<'t>>);

impl<'t> Events<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Wrong> {
        let next = self.0.next_event().transpose();
        let next = next.map_err(|e| {
            let remedy = "write it as YAML: two spaces for each step inwards, texts with : or # in quotes";
            Wrong::at(e.marker().line(), e.info().to_owned(), remedy)
        })?;
        next.ok_or_else(|| Wrong::at(0, "it breaks off", "write it to its end"))
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Wrong> {
        let line = span.start.line();
        let kind = match event {
            Event::Scalar(text, style, ..) => Kind::Scalar {
                text: text.into_owned(),
                quoted: style != ScalarStyle::Plain,
            },
            Event::SequenceStart(..) => self.list()?,
            Event::MappingStart(..) => self.map()?,
            Event::Alias(_) => {
                return Err(Wrong::at(
                    line,
                    "this refers to another place (*)",
                    "write it out: what is applied should be readable where it stands",
                ));
            }
            other => {
                return Err(Wrong::at(
                    line,
                    format!("{other:?} is not expected here"),
                    "see the line before",
                ));
            }
        };
        Ok(Node { line, kind })
    }

    fn list(&mut self) -> Result<Kind, Wrong> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Kind::List(items)),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Kind, Wrong> {
        let mut members: Vec<(Key, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let (name, line) = match event {
                Event::MappingEnd => return Ok(Kind::Map(members)),
                Event::Scalar(text, ..) => (text.into_owned(), span.start.line()),
                _ => {
                    return Err(Wrong::at(
                        span.start.line(),
                        "a name is expected here",
                        "write `name: value`",
                    ));
                }
            };
            if let Some((before, _)) = members.iter().find(|(key, _)| key.name == name) {
                let what = format!("{name} stands in line {} already", before.line);
                return Err(Wrong::at(line, what, "keep one of them"));
            }
            let (event, span) = self.next()?;
            let node = self.node(event, span)?;
            members.push((Key { line, name }, node));
        }
    }
}

impl Node {
    pub fn is_null(&self) -> bool {
        let null = |text: &str| matches!(text, "" | "~" | "null");
        matches!(&self.kind, Kind::Scalar { text, quoted: false } if null(text))
    }

    /// What it is where the API's document says what is expected: `+14155550123` is a number to YAML and a text to us.
    pub fn value(&self, schema: Option<&Schema>) -> Result<Value, Wrong> {
        Ok(match &self.kind {
            Kind::Scalar { text, quoted } => self.scalar(text, *quoted, schema)?,
            Kind::List(items) => {
                let of = schema.and_then(Schema::items);
                let read = items.iter().map(|item| item.value(of.as_ref()));
                Value::Array(read.collect::<Result<_, _>>()?)
            }
            Kind::Map(members) => {
                let mut map = Map::new();
                for (key, node) in members {
                    let of = schema.and_then(|s| s.property(&key.name).or_else(|| s.values()));
                    map.insert(key.name.clone(), node.value(of.as_ref())?);
                }
                Value::Object(map)
            }
        })
    }

    fn scalar(&self, text: &str, quoted: bool, schema: Option<&Schema>) -> Result<Value, Wrong> {
        let Some(schema) = schema.filter(|s| s.is_scalar()) else {
            return Ok(match quoted {
                true => text.into(),
                false => untyped(text),
            });
        };
        if self.is_null() && schema.is_nullable() {
            return Ok(Value::Null);
        }
        if quoted && schema.is("string") && schema.one_of().is_empty() {
            return Ok(text.into());
        }
        schema.read(text).map_err(|why| {
            let shown: String = text.chars().take(40).collect();
            Wrong::at(
                self.line,
                format!("{shown:?} {why}"),
                "write a value as docs/api.md has them",
            )
        })
    }
}

/// YAML 1.2's core schema.
fn untyped(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => true.into(),
        "false" => false.into(),
        _ if text.starts_with('+') => text.into(),
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(n), _) => n.into(),
            (_, Ok(n)) if text.contains(|c: char| c.is_ascii_digit()) => {
                Number::from_f64(n).map_or_else(|| text.into(), Value::Number)
            }
            _ => text.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;
    use serde_json::json;

    #[test]
    fn a_number_that_is_called_stays_as_it_is_written() {
        let schema = Spec::embedded().schema("NewNumber").unwrap();
        let node = parse("address: +14155550123\nper_second: 2\nkind: ~\n").unwrap();
        assert_eq!(
            node.value(Some(&schema)).unwrap(),
            json!({"address": "+14155550123", "per_second": 2.0, "kind": null})
        );
        assert_eq!(
            parse("{\"a\": [1, true, \"2\", x]}")
                .unwrap()
                .value(None)
                .unwrap(),
            json!({"a": [1, true, "2", "x"]})
        );
    }

    #[test]
    fn what_is_wrong_has_a_line() {
        let line = |text: &str| parse(text).unwrap_err().line;
        assert_eq!(line("a: 1\nb: 2\na: 3\n"), 3);
        assert_eq!(line("a: &x 1\nb: *x\n"), 2);
        assert_eq!(line("a: 1\n---\nb: 2\n"), 3);
        assert_eq!(line("a: [1, 2\nb: 3\n"), 2);
        let schema = Spec::embedded().schema("NewNumber").unwrap();
        let wrong = parse("address: x\nper_second: fast\n")
            .unwrap()
            .value(Some(&schema))
            .unwrap_err();
        assert_eq!(wrong.to_string(), "line 2: \"fast\" is no number");
    }
}
