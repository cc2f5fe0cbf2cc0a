//! What a migration may not do while the old program runs (docs/migrations.md), found in its text.

use std::{collections::HashSet, fs, path::Path};

/// Files that were released before there were these rules, or that break one for a reason.
const EXCUSED: &[(&str, Rule, &str)] = &[
    (
        "0010_link_reach.sql",
        Rule::ChecksEveryRow,
        "a tenant has a handful of links",
    ),
    (
        "0171_audit_written_by_owner.sql",
        Rule::LocksSeveral,
        "the marks must be true of the entries that are there",
    ),
    (
        "0180_removal_of_deflections.sql",
        Rule::ChecksEveryRow,
        "a row is there for moments only",
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// A table that exists is changed without `SET LOCAL lock_timeout` at the file's beginning.
    WaitsForALock,
    /// An index on a table that exists is made in a way that stops writers.
    IndexStopsWriters,
    /// `CREATE INDEX CONCURRENTLY` is not alone in a file that begins with `-- no-transaction`.
    ConcurrentlyInATransaction,
    /// Postgres writes every row anew while nobody gets at the table.
    RewritesTheTable,
    /// Postgres reads every row while nobody writes.
    ChecksEveryRow,
    /// Rows are changed while the table is locked by the same file.
    ChangesRowsUnderALock,
    /// The old program may still use it. A file that takes something away says since when nothing uses it: `-- contract: …`.
    TakesAway,
    /// One file locks several tables that exist.
    LocksSeveral,
}

/// The statements of a file, without comments, each on one line with single spaces. Bodies of functions stay whole.
fn statements(text: &str) -> Vec<String> {
    let (mut all, mut now) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let taken = if let Some(comment) = rest.strip_prefix("--") {
            2 + comment.find('\n').unwrap_or(comment.len())
        } else if next == '\'' {
            let end = rest[1..].find('\'').map_or(rest.len(), |at| at + 2);
            now.push_str(&rest[..end]);
            end
        } else if let Some(tag) = dollar_tag(rest) {
            let end = rest[tag.len()..]
                .find(tag)
                .map_or(rest.len(), |at| at + 2 * tag.len());
            now.push_str("$body$");
            end
        } else if next == ';' {
            all.push(std::mem::take(&mut now));
            1
        } else {
            now.push(next);
            next.len_utf8()
        };
        rest = &rest[taken..];
    }
    all.push(now);
    let on_one_line = |s: String| s.split_whitespace().collect::<Vec<_>>().join(" ");
    all.into_iter()
        .map(on_one_line)
        .filter(|s| !s.is_empty())
        .collect()
}

fn dollar_tag(text: &str) -> Option<&str> {
    let after = text.strip_prefix('$')?;
    let end = after.find('$')?;
    after[..end]
        .chars()
        .all(|c| c.is_alphanumeric() || c == '_')
        .then(|| &text[..end + 2])
}

fn word_after<'a>(statement: &'a str, start: &str) -> Option<&'a str> {
    let rest = statement.strip_prefix(start)?;
    let rest = rest.strip_prefix("IF EXISTS ").unwrap_or(rest);
    let rest = rest.strip_prefix("ONLY ").unwrap_or(rest);
    rest.split([' ', '(']).next()
}

/// What `ALTER TABLE` is to do, one by one.
fn clauses(statement: &str) -> Vec<&str> {
    let (mut all, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, c) in statement.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                all.push(&statement[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(&statement[from..]);
    all
}

fn broken_by(clause: &str) -> Option<Rule> {
    let has = |words: &str| clause.contains(words);
    let rewrites = ["RANDOM()", "GEN_RANDOM_UUID()", "GENERATED ALWAYS AS", "SERIAL"];
    if has("ADD COLUMN") {
        // A constraint of the column's own finds no rows that it could refuse, and is not looked for in them.
        let empty = has("NOT NULL") && !has("DEFAULT") && !has("IS NOT NULL");
        return match rewrites.into_iter().any(has) {
            true => Some(Rule::RewritesTheTable),
            false => empty.then_some(Rule::ChecksEveryRow),
        };
    }
    if has("ALTER COLUMN") && has(" TYPE ") {
        return Some(Rule::RewritesTheTable);
    }
    let constrains = has("ADD CONSTRAINT") || has(" ADD CHECK") || has(" ADD FOREIGN KEY");
    if constrains && !has("NOT VALID") && !has("USING INDEX") || has("SET NOT NULL") {
        return Some(Rule::ChecksEveryRow);
    }
    (has("DROP COLUMN") || has("RENAME")).then_some(Rule::TakesAway)
}

/// What is wrong with a file.
fn broken(text: &str) -> Vec<Rule> {
    let statements = statements(text);
    let new: HashSet<&str> = statements
        .iter()
        .filter_map(|s| word_after(s, "CREATE TABLE "))
        .collect();
    let in_transaction = !text.starts_with("-- no-transaction");
    let patient = statements
        .first()
        .is_some_and(|s| s.starts_with("SET LOCAL lock_timeout"));
    let mut found = Vec::new();
    let mut locked = HashSet::new();
    let mut writes = HashSet::new();
    for s in &statements {
        if s.starts_with("CREATE INDEX CONCURRENTLY")
            || s.starts_with("CREATE UNIQUE INDEX CONCURRENTLY")
            || s.starts_with("DROP INDEX CONCURRENTLY")
        {
            if in_transaction || statements.len() > 1 {
                found.push(Rule::ConcurrentlyInATransaction);
            }
        } else if s.starts_with("CREATE INDEX") || s.starts_with("CREATE UNIQUE INDEX") {
            let on = s.split(" ON ").nth(1).unwrap_or_default();
            // On a partitioned table without its parts.
            let table = on.split([' ', '(']).next().unwrap_or_default();
            if table != "ONLY" && !new.contains(table) {
                found.push(Rule::IndexStopsWriters);
            }
        }
        if let Some(table) = word_after(s, "ALTER TABLE ").filter(|table| !new.contains(table)) {
            let upper = s.to_uppercase();
            // The lock under which that is done stops nobody.
            if !upper.contains("VALIDATE CONSTRAINT") {
                locked.insert(table);
            } else if statements
                .iter()
                .any(|other| other.to_uppercase().contains("NOT VALID"))
            {
                found.push(Rule::ChecksEveryRow);
            }
            found.extend(clauses(&upper).into_iter().filter_map(broken_by));
        }
        if ["DROP TABLE", "DROP FUNCTION", "DROP TYPE"]
            .iter()
            .any(|what| s.starts_with(what))
        {
            found.push(Rule::TakesAway);
        }
        if s.starts_with("TRUNCATE") || s.starts_with("CLUSTER") || s.starts_with("VACUUM FULL") {
            found.push(Rule::RewritesTheTable);
        }
        for start in ["UPDATE ", "DELETE FROM "] {
            writes.extend(word_after(s, start).filter(|table| !new.contains(table)));
        }
    }
    if !locked.is_empty() && in_transaction && !patient {
        found.push(Rule::WaitsForALock);
    }
    if locked.len() > 1 {
        found.push(Rule::LocksSeveral);
    }
    if writes.iter().any(|table| locked.contains(table)) {
        found.push(Rule::ChangesRowsUnderALock);
    }
    if text.contains("-- contract: ") {
        found.retain(|rule| *rule != Rule::TakesAway);
    }
    found
}

#[test]
fn no_migration_stops_the_program_that_runs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 100);
    let mut wrong = Vec::new();
    let mut excused = HashSet::new();
    for file in &files {
        let name = file.file_name().unwrap().to_str().unwrap();
        for rule in broken(&fs::read_to_string(file).unwrap()) {
            match EXCUSED
                .iter()
                .position(|(of, which, _)| *of == name && *which == rule)
            {
                Some(at) => drop(excused.insert(at)),
                None => wrong.push(format!("{name}: {rule:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "see docs/migrations.md:\n{}", wrong.join("\n"));
    assert_eq!(excused.len(), EXCUSED.len(), "an excuse that nothing needs");
}

#[test]
fn each_rule_finds_what_breaks_it() {
    let patient = "SET LOCAL lock_timeout = '2s';\n";
    let cases = [
        ("ALTER TABLE chat ADD COLUMN a text;", vec![Rule::WaitsForALock]),
        ("CREATE INDEX chat_a ON chat (a);", vec![Rule::IndexStopsWriters]),
        (
            "CREATE INDEX CONCURRENTLY chat_a ON chat (a);",
            vec![Rule::ConcurrentlyInATransaction],
        ),
        (
            "-- no-transaction\nCREATE INDEX CONCURRENTLY a ON chat (a);\nSELECT 1;",
            vec![Rule::ConcurrentlyInATransaction],
        ),
        (
            "@ALTER TABLE chat ALTER COLUMN a TYPE bigint;",
            vec![Rule::RewritesTheTable],
        ),
        (
            "@ALTER TABLE chat ADD COLUMN a uuid DEFAULT gen_random_uuid();",
            vec![Rule::RewritesTheTable],
        ),
        (
            "@ALTER TABLE chat ADD COLUMN a text NOT NULL;",
            vec![Rule::ChecksEveryRow],
        ),
        (
            "@ALTER TABLE chat ALTER COLUMN a SET NOT NULL;",
            vec![Rule::ChecksEveryRow],
        ),
        (
            "@ALTER TABLE chat ADD CONSTRAINT c CHECK (a > 0);",
            vec![Rule::ChecksEveryRow],
        ),
        (
            "@ALTER TABLE chat ADD CONSTRAINT c CHECK (a > 0) NOT VALID;\nALTER TABLE chat VALIDATE CONSTRAINT c;",
            vec![Rule::ChecksEveryRow],
        ),
        ("@ALTER TABLE chat DROP COLUMN a;", vec![Rule::TakesAway]),
        ("DROP TABLE chat;", vec![Rule::TakesAway]),
        (
            "@ALTER TABLE chat ADD COLUMN a text;\nUPDATE chat SET a = '';",
            vec![Rule::ChangesRowsUnderALock],
        ),
        (
            "@ALTER TABLE chat ADD COLUMN a text;\nALTER TABLE inbox ADD COLUMN a text;",
            vec![Rule::LocksSeveral],
        ),
        // And what they leave alone.
        ("@ALTER TABLE chat ADD COLUMN a text NOT NULL DEFAULT '';", vec![]),
        (
            "@ALTER TABLE chat ADD CONSTRAINT c CHECK (a > 0) NOT VALID;",
            vec![],
        ),
        (
            "-- no-transaction\nCREATE INDEX CONCURRENTLY a ON chat (a);",
            vec![],
        ),
        ("CREATE INDEX a ON ONLY message (a);", vec![]),
        (
            "CREATE TABLE a (b text NOT NULL);\nCREATE INDEX c ON a (b);\nALTER TABLE a ENABLE ROW LEVEL SECURITY;",
            vec![],
        ),
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ DROP TABLE chat; UPDATE chat SET a = 1; $$;",
            vec![],
        ),
        ("-- DROP TABLE chat;\nSELECT 'DROP TABLE chat; ';", vec![]),
        (
            "-- contract: nothing uses it since 0.4.0\nDROP TABLE chat;",
            vec![],
        ),
    ];
    for (text, rules) in cases {
        assert_eq!(broken(&text.replace('@', patient)), rules, "{text}");
    }
}
