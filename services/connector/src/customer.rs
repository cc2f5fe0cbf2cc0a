//! Who the customer is, in AACC's words: intrinsics and custom fields, as the tenant maps them.

use ccm_db::{ActorContext, PreviousChat};
use ccm_ewc_proto::frame::{CustomField, Intrinsics};
use ccm_model::{Address, deflection_settings::waited_minutes, fill, sms_settings::AgentNotes};
use phonenumber::Mode;
use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// Characters of the first text that agents see before they accept.
const FIRST_TEXT_CHARS: usize = 200;

/// A number in the three parts that AACC's forms have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NumberParts {
    /// `+353`; empty for what is no full number.
    pub country: String,
    pub area: String,
    pub number: String,
}

impl NumberParts {
    /// Splits a number as it is written in international format: the first group after the country is the area.
    pub fn of(address: &Address) -> Self {
        let Address::E164(full) = address else {
            return Self {
                number: address.as_str().to_owned(),
                ..Self::default()
            };
        };
        let whole = || Self {
            number: full.trim_start_matches('+').to_owned(),
            ..Self::default()
        };
        let Ok(parsed) = phonenumber::parse(None, full) else {
            return whole();
        };
        let written = parsed.format().mode(Mode::International).to_string();
        let mut groups = written
            .split([' ', '-', '(', ')', '/', '.'])
            .filter(|g| !g.is_empty());
        let Some(country) = groups.next().filter(|c| c.starts_with('+')) else {
            return whole();
        };
        let groups: Vec<&str> = groups.collect();
        let (area, number) = match groups.split_first() {
            Some((area, rest)) if !rest.is_empty() => (*area, rest.concat()),
            _ => ("", groups.concat()),
        };
        Self {
            country: country.to_owned(),
            area: area.to_owned(),
            number,
        }
    }
}

/// What the templates of a tenant's fields can name.
pub(crate) struct Known<'a> {
    pub context: &'a ActorContext,
    /// The text that opens the chat.
    pub first_text: Option<&'a str>,
    pub previous: Option<&'a PreviousChat>,
    pub now: OffsetDateTime,
}

impl Known<'_> {
    /// AACC's intrinsics for this customer.
    pub fn intrinsics(&self) -> Intrinsics {
        let parts = NumberParts::of(&self.context.customer_address);
        let view = &self.context.settings.customer;
        let name = about(self.context, "name");
        let custom_fields = view.fields.iter().filter_map(|field| {
            let value = fill(&field.value, |word| self.word(word, &parts));
            (!value.trim().is_empty()).then(|| CustomField {
                title: field.title.clone(),
                value: value.into(),
            })
        });
        let custom_fields = custom_fields.collect();
        Intrinsics {
            name: if name.is_empty() { view.name.clone() } else { name }.into(),
            email: about(self.context, "email").into(),
            skillset: self.context.skillset.clone(),
            country: parts.country,
            area: parts.area.into(),
            phone_number: parts.number.into(),
            custom_fields,
        }
    }

    /// What agents read in front of a chat's first text: that it goes on from an earlier one, what whoever sent the customer to them
    /// wants them to know, and what others have written to the customer, `written`, author and text.
    pub fn first_note(&self, written: &[(Option<String>, String)], notes: &AgentNotes) -> Option<String> {
        let language = &self.context.settings.language;
        let said = about(self.context, "said");
        let said = (!said.trim().is_empty()).then(|| format!("{} {said}", notes.prefix));
        let written = written
            .iter()
            .filter_map(|(author, text)| notes.of_text(language, author.as_deref().unwrap_or("-"), text));
        let lines: Vec<String> = self
            .reopen_note()
            .into_iter()
            .chain(said)
            .chain(written)
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// What is said in front of the first text of a chat that goes on from an earlier one.
    fn reopen_note(&self) -> Option<String> {
        let settings = &self.context.settings;
        let words = settings
            .life
            .reopen_note
            .as_ref()?
            .in_language(&language(self.context))?;
        self.recent()?;
        let parts = NumberParts::default();
        Some(fill(words, |word| self.word(word, &parts)))
    }

    fn recent(&self) -> Option<&PreviousChat> {
        let within = Duration::seconds(self.context.settings.life.reopen_within_s.into());
        self.previous.filter(|p| self.now - p.ended_at <= within)
    }

    fn word(&self, word: &str, parts: &NumberParts) -> Option<String> {
        Some(match word {
            "channel" => "SMS".to_owned(),
            "customer" => self.context.customer_address.as_str().to_owned(),
            "ours" => self.context.our_address.as_str().to_owned(),
            "country" => parts.country.clone(),
            "area" => parts.area.clone(),
            "number" => parts.number.clone(),
            "language" => language(self.context),
            "name" | "email" | "priority" => about(self.context, word),
            "contact" => about(self.context, "contact_id"),
            "context" => listed(&self.context.about["context"]),
            "waited" => about(self.context, "waited_s"),
            "waited_minutes" => self.context.about["waited_s"]
                .as_u64()
                .map(waited_minutes)
                .unwrap_or_default(),
            "first_text" => self.first_text.map(beginning).unwrap_or_default(),
            "last_agent" => self.recent().and_then(|p| p.agent.clone()).unwrap_or_default(),
            "last_ended" => self
                .recent()
                .and_then(|p| p.ended_at.replace_nanosecond(0).ok()?.format(&Rfc3339).ok())
                .unwrap_or_default(),
            _ => shown(&self.context.about["context"][word.strip_prefix("context.")?]),
        })
    }
}

/// The customer's own language, where known, else the tenant's.
pub(crate) fn language(context: &ActorContext) -> String {
    let own = about(context, "language");
    if own.is_empty() {
        context.settings.language.clone()
    } else {
        own
    }
}

pub(crate) fn about(context: &ActorContext, key: &str) -> String {
    shown(&context.about[key])
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// An object as people read it.
fn listed(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| format!("{name}: {}", shown(value)));
            members.collect::<Vec<_>>().join("; ")
        }
        other => shown(other),
    }
}

fn beginning(text: &str) -> String {
    text.chars().take(FIRST_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(number: &str) -> (String, String, String) {
        let parts = NumberParts::of(&number.parse().unwrap());
        (parts.country, parts.area, parts.number)
    }

    #[test]
    fn numbers_are_split_as_their_countries_write_them() {
        for (number, country, area, rest) in [
            ("+14697206211", "+1", "469", "7206211"),
            ("+353871234567", "+353", "87", "1234567"),
            ("+35312345678", "+353", "1", "2345678"),
            ("+442071234567", "+44", "20", "71234567"),
            ("+493012345678", "+49", "30", "12345678"),
            ("72345", "", "", "72345"),
        ] {
            assert_eq!(
                parts(number),
                (country.into(), area.into(), rest.into()),
                "{number}"
            );
        }
        let nowhere = parts("+999123456789");
        assert_eq!(
            format!("{}{}{}", nowhere.0, nowhere.1, nowhere.2).trim_start_matches('+'),
            "999123456789",
            "no digit is lost of a number that no country has"
        );
    }
}
