//! Where in a text the words are that were looked for. Pure.

use serde::Serialize;
use utoipa::ToSchema;

/// How long a snippet is at most, in characters.
const LENGTH: usize = 200;
/// How much of it stands before the first match.
const BEFORE: usize = 60;
/// More words than this are not looked for at once.
pub const MOST_WORDS: usize = 10;

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Words begin like these.
    pub beginnings: Vec<String>,
    /// These stand in it as they are.
    pub phrases: Vec<String>,
}

/// A part of a text, with what was found in it.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Snippet {
    #[schema(example = "…where is my order 12345? I have been waiting…")]
    pub text: String,
    /// From the first on.
    pub matches: Vec<Match>,
}

/// A place in a snippet, counted in characters (Unicode code points).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Match {
    #[schema(example = 19)]
    pub start: usize,
    /// Not included.
    #[schema(example = 24)]
    pub end: usize,
}

impl Wanted {
    /// Words, and phrases in double quotes. `None`: there is no letter or digit in it, or there are too many words.
    pub fn parse(asked: &str) -> Option<Self> {
        let mut wanted = Self::default();
        for (n, part) in asked.split('"').enumerate() {
            // Between the first quote and the second, the third and the fourth. The last one may be open.
            if n % 2 == 1 {
                let phrase = part.split_whitespace().collect::<Vec<_>>().join(" ");
                wanted
                    .phrases
                    .extend(Some(phrase).filter(|phrase| has_word(phrase)));
            } else {
                let words = part.split_whitespace().filter(|word| has_word(word));
                wanted.beginnings.extend(words.map(str::to_owned));
            }
        }
        let count = wanted.beginnings.len() + wanted.phrases.len();
        (1..=MOST_WORDS).contains(&count).then_some(wanted)
    }

    /// The part of a text around the first match, or its beginning.
    pub fn snippet(&self, text: &str) -> Snippet {
        let letters: Vec<char> = text.chars().collect();
        let folded: Vec<char> = letters.iter().map(|c| fold(*c)).collect();
        let matches = merged(self.places(&folded));
        let first = matches.first().map_or(0, |found| found.start);
        let from = match first.saturating_sub(BEFORE) {
            0 => 0,
            from => word_start(&letters, from, first),
        };
        let until = (from + LENGTH).min(letters.len());
        let mut shown: String = letters[from..until].iter().collect();
        let mut shift = 0;
        if from > 0 {
            shown.insert(0, '…');
            shift = 1;
        }
        if until < letters.len() {
            shown.push('…');
        }
        let matches = matches.into_iter().filter(|found| found.start < until);
        Snippet {
            text: shown,
            matches: matches
                .map(|found| Match {
                    start: found.start - from + shift,
                    end: found.end.min(until) - from + shift,
                })
                .collect(),
        }
    }

    fn places(&self, text: &[char]) -> Vec<Match> {
        let mut found = Vec::new();
        // A word of the query may be several for the index: `order-12345`.
        let words = self
            .beginnings
            .iter()
            .flat_map(|word| word.split(|c: char| !c.is_alphanumeric()));
        for word in words.filter(|word| !word.is_empty()) {
            let word: Vec<char> = word.chars().map(fold).collect();
            let begins = |at: usize| at == 0 || !text[at - 1].is_alphanumeric();
            found.extend(occurrences(text, &word).filter(|place| begins(place.start)));
        }
        for phrase in &self.phrases {
            let phrase: Vec<char> = phrase.chars().map(fold).collect();
            found.extend(occurrences(text, &phrase));
        }
        found
    }
}

fn has_word(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// One letter for one letter, so that places stay what they are.
fn fold(letter: char) -> char {
    let mut lower = letter.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => letter,
    }
}

fn occurrences<'a>(text: &'a [char], wanted: &'a [char]) -> impl Iterator<Item = Match> + 'a {
    let places = text.windows(wanted.len().max(1)).enumerate();
    places
        .filter(move |(_, window)| *window == wanted)
        .map(|(start, window)| Match {
            start,
            end: start + window.len(),
        })
}

/// In order, and without overlaps.
fn merged(mut places: Vec<Match>) -> Vec<Match> {
    places.sort_by_key(|place| (place.start, place.end));
    let mut merged: Vec<Match> = Vec::new();
    for place in places {
        match merged.last_mut() {
            Some(last) if place.start <= last.end => last.end = last.end.max(place.end),
            _ => merged.push(place),
        }
    }
    merged
}

/// The first beginning of a word from `from` on, if it comes before the match.
fn word_start(letters: &[char], from: usize, first: usize) -> usize {
    let blank = letters[from..first].iter().position(|c| c.is_whitespace());
    blank.map_or(from, |blank| from + blank + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(asked: &str, text: &str) -> (String, Vec<String>) {
        let snippet = Wanted::parse(asked).unwrap().snippet(text);
        let letters: Vec<char> = snippet.text.chars().collect();
        let marks = snippet
            .matches
            .iter()
            .map(|m| letters[m.start..m.end].iter().collect());
        (snippet.text.clone(), marks.collect())
    }

    #[test]
    fn beginnings_of_words_are_marked_whatever_their_case() {
        let (_, marks) = marked("ÄRG hel", "Hello, das ist ärgerlich, shell");
        assert_eq!(marks, ["Hel", "ärg"]);
        let (_, marks) = marked("order-12345", "about order-12345, Order 7");
        assert_eq!(marks, ["order", "12345", "Order"]);
        let (_, marks) = marked("\"my order\"", "My Order; my orders; myorder");
        assert_eq!(marks, ["My Order", "my order"]);
        let (_, marks) = marked("ab abc", "abcd");
        assert_eq!(marks, ["abc"]);
        assert_eq!(marked("İx", "nothing of it").1, [""; 0]);
    }

    #[test]
    fn long_texts_are_cut_around_the_first_match() {
        let text = format!("{} needle {}", "word ".repeat(100), "word ".repeat(100));
        let (shown, marks) = marked("needle", &text);
        assert!(shown.starts_with("…word ") && shown.ends_with('…'), "{shown}");
        assert!(shown.chars().count() <= LENGTH + 2);
        assert_eq!(marks, ["needle"]);
        let (shown, marks) = marked("needle", &"x".repeat(500));
        assert_eq!((shown.chars().count(), marks.len()), (LENGTH + 1, 0));
        assert_eq!(marked("x", "").0, "");
        let (shown, marks) = marked("y", &format!("{}\u{1f642}y", "x".repeat(300)));
        assert!(shown.starts_with('…') && marks == ["y"], "{shown} {marks:?}");
    }

    #[test]
    fn a_question_has_one_to_ten_words() {
        let parse = |asked: &str| Wanted::parse(asked);
        assert_eq!(parse("  "), None);
        assert_eq!(parse("\"\" - !"), None);
        assert_eq!(parse(&"a ".repeat(11)), None);
        let wanted = parse("one \"two  three\" four \"five").unwrap();
        assert_eq!(wanted.beginnings, ["one", "four"]);
        assert_eq!(wanted.phrases, ["two three", "five"]);
    }
}
