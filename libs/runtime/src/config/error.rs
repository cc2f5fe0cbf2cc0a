use std::path::PathBuf;

/// Why a configuration is not taken. The text says where, which key, and what to do; it never repeats a value.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file given with `--config`, or a key file, cannot be read.
    #[error("{}: cannot be read: {source}; check the path and its permissions", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}: {problem}; texts need quotes, sections stand in [brackets]", file.display())]
    Syntax {
        /// Which file.
        file: PathBuf,
        /// Place and reason.
        problem: String,
    },
    /// A key that no role knows.
    #[error("{origin}: unknown key {key}; {hint}")]
    UnknownKey {
        /// File or environment variable.
        origin: String,
        /// The key as written, with its section.
        key: String,
        /// The nearest right key, or where to find them.
        hint: String,
    },
    /// A value of the wrong kind or out of its range.
    #[error("{origin}: {key} {problem}; {remedy}")]
    Invalid {
        /// File or environment variable.
        origin: String,
        /// Section and key.
        key: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A value that this role needs and nobody set.
    #[error(
        "{key} is not set; {remedy}, in the file given with --config or as {}",
        env_name(key)
    )]
    Missing {
        /// Section and key.
        key: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A key file whose content is not a key.
    #[error("{}: ({key}) {problem}; {remedy}", file.display())]
    BadKeyFile {
        /// Which file.
        file: PathBuf,
        /// Which setting names it.
        key: &'static str,
        /// What is wrong.
        problem: &'static str,
        /// What to do.
        remedy: &'static str,
    },
}

impl ConfigError {
    pub(super) fn unknown_key(origin: String, key: &str, known: &[String]) -> Self {
        let hint = match nearest(key, known) {
            Some(right) => format!("did you mean {right}?"),
            None => "`ccm config` prints all keys with their meaning".to_owned(),
        };
        Self::UnknownKey {
            origin,
            key: key.to_owned(),
            hint,
        }
    }

    pub(super) fn unknown_variable(name: &str, key: &str, known: &[String]) -> Self {
        let hint = match nearest(key, known) {
            Some(right) => format!("did you mean {}?", env_name(right)),
            None => "variables are CCM__SECTION__KEY; `ccm config` prints all keys".to_owned(),
        };
        Self::UnknownKey {
            origin: format!("environment variable {name}"),
            key: key.to_owned(),
            hint,
        }
    }
}

fn env_name(key: &str) -> String {
    format!("CCM__{}", key.replace('.', "__").to_uppercase())
}

/// The known key with the fewest edits away, unless so many are needed that it is not what was meant. The same leaf in
/// another section counts as near.
fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a str> {
    let leaf = |k: &str| k.rsplit('.').next().unwrap_or_default().to_owned();
    let by_leaf = || {
        let mut same = known.iter().filter(|k| leaf(k) == leaf(key));
        same.next().filter(|_| same.next().is_none())
    };
    let close = known
        .iter()
        .map(|k| (distance(key, k), k))
        .min()
        .filter(|(edits, _)| *edits <= (key.len() / 3).max(2))
        .map(|(_, k)| k);
    close.or_else(by_leaf).map(String::as_str)
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
