//! The checker: what each side sent held against what the other side received and against the store.
//!
//! Simulated customers and agents put a [tag](tag_of) into everything that they send, different in every text. The checker
//! knows nothing of services or simulators: it is given three lists and says what does not fit.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

/// Two addresses of one tenant that talk: where a text must stay.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    /// Anything that tells tenants apart.
    pub tenant: String,
    pub ours: String,
    pub customer: String,
}

/// Which way a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flow {
    /// From the phone to the agent's window.
    ToAgent,
    /// From the agent's window to the phone.
    ToPhone,
}

/// A tagged text as one side saw it. Lists are in the order in which that side sent or received.
#[derive(Debug, Clone)]
pub struct Seen {
    pub pair: Pair,
    pub flow: Flow,
    pub tag: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// A text as the store has it.
#[derive(Debug, Clone)]
pub struct Stored {
    pub pair: Pair,
    pub flow: Flow,
    pub tag: String,
    pub conversation: String,
    pub seq: i64,
    /// As the API names it.
    pub state: String,
    /// How often it was sent again although the far side may have had it.
    pub resends: u32,
}

/// What happened in a run.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// What was sent and accepted: a text that a provider could not hand over is not in here.
    pub sent: Vec<Seen>,
    pub received: Vec<Seen>,
    pub stored: Vec<Stored>,
    /// A text that takes longer is late, in milliseconds; 0: none is.
    pub late_after_ms: u64,
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// Accepted, not received, and not in a state that an operator would see as ended.
    Lost { tag: String, state: Option<String> },
    /// Received more often than the store's marks allow.
    Doubled { tag: String, received: u32, marked: u32 },
    /// Received after a later one of the same conversation and flow.
    OutOfOrder { tag: String, after: String },
    /// Received by somebody else than the one that it was sent to.
    Crossed { tag: String, by: Pair },
    /// Received, and nobody sent it.
    Invented { tag: String },
    /// Stored twice, with no place of its own in its conversation, or received without being stored.
    Store { tag: String, what: String },
}

/// What the checker found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub findings: Vec<Finding>,
    pub sent: usize,
    pub received: usize,
    /// Received twice, with the mark that allows it.
    pub doubled_with_mark: usize,
    /// Ended in a state that an operator sees (refused, failed, …) instead of with the receiver.
    pub dead: Vec<String>,
    /// Later than the run's limit; for the reader, no finding.
    pub late: usize,
    /// The slowest text, in milliseconds.
    pub slowest_ms: u64,
}

impl Report {
    /// Whether every promise was kept. A dead letter is visible and therefore allowed; a caller that expects none looks.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |wanted: fn(&Finding) -> bool| self.findings.iter().filter(|f| wanted(f)).count();
        writeln!(
            f,
            "checker: {} sent, {} received, slowest {} ms",
            self.sent, self.received, self.slowest_ms
        )?;
        writeln!(
            f,
            "  lost {}, doubled {} (with a mark: {}), out of order {}, crossed {}, invented {}, store {}, dead letters {}, late {}",
            count(|f| matches!(f, Finding::Lost { .. })),
            count(|f| matches!(f, Finding::Doubled { .. })),
            self.doubled_with_mark,
            count(|f| matches!(f, Finding::OutOfOrder { .. })),
            count(|f| matches!(f, Finding::Crossed { .. })),
            count(|f| matches!(f, Finding::Invented { .. })),
            count(|f| matches!(f, Finding::Store { .. })),
            self.dead.len(),
            self.late,
        )?;
        for finding in self.findings.iter().take(20) {
            writeln!(f, "  {finding:?}")?;
        }
        let more = self.findings.len().saturating_sub(20);
        if more > 0 {
            writeln!(f, "  … and {more} more")?;
        }
        write!(
            f,
            "  {}",
            if self.is_clean() {
                "every promise kept"
            } else {
                "PROMISES BROKEN"
            }
        )
    }
}

/// The tag in a text: `#`, then letters, digits, dots and dashes, ending in a digit, like `#c-6211-17`.
pub fn tag_of(text: &str) -> Option<&str> {
    let at = text.find('#')?;
    let tag = &text[at..];
    let end = tag[1..]
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.'))
        .map_or(tag.len(), |n| n + 1);
    let tag = tag[..end].trim_end_matches(['.', '-']);
    tag.ends_with(|c: char| c.is_ascii_digit()).then_some(tag)
}

/// States in which a text has ended without reaching the other side, visibly.
fn is_dead(state: &str) -> bool {
    matches!(state, "refused" | "failed" | "undeliverable" | "expired")
}

/// Holds the three lists against each other.
pub fn check(run: &Run) -> Report {
    let mut report = Report {
        sent: run.sent.len(),
        received: run.received.len(),
        ..Report::default()
    };
    let stored = check_store(run, &mut report);
    let sent: HashMap<&str, (usize, &Seen)> = run
        .sent
        .iter()
        .enumerate()
        .map(|(n, s)| (s.tag.as_str(), (n, s)))
        .collect();

    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    let mut newest: HashMap<(&Pair, Flow), (usize, &str)> = HashMap::new();
    for got in &run.received {
        let Some((place, origin)) = sent.get(got.tag.as_str()) else {
            report.findings.push(Finding::Invented { tag: got.tag.clone() });
            continue;
        };
        if origin.pair != got.pair || origin.flow != got.flow {
            report.findings.push(Finding::Crossed {
                tag: got.tag.clone(),
                by: got.pair.clone(),
            });
            continue;
        }
        let times = times.entry(&got.tag).or_default();
        *times += 1;
        if *times > 1 {
            continue; // a repeat says nothing about order
        }
        if !stored.contains_key(got.tag.as_str()) {
            let what = "received but not stored".to_owned();
            report.findings.push(Finding::Store {
                tag: got.tag.clone(),
                what,
            });
        }
        let took = got.at_ms.saturating_sub(origin.at_ms);
        report.slowest_ms = report.slowest_ms.max(took);
        report.late += usize::from(run.late_after_ms > 0 && took > run.late_after_ms);
        match newest.get(&(&got.pair, got.flow)) {
            Some((before, tag)) if before > place => {
                report.findings.push(Finding::OutOfOrder {
                    tag: got.tag.clone(),
                    after: (*tag).to_owned(),
                });
            }
            _ => {
                newest.insert((&got.pair, got.flow), (*place, &got.tag));
            }
        }
    }
    for text in &run.sent {
        let row = stored.get(text.tag.as_str());
        match times.get(text.tag.as_str()) {
            None if row.is_some_and(|r| is_dead(&r.state)) => report.dead.push(text.tag.clone()),
            None => {
                let state = row.map(|r| r.state.clone());
                report.findings.push(Finding::Lost {
                    tag: text.tag.clone(),
                    state,
                });
            }
            Some(1) => {}
            Some(received) => {
                let marked = row.map_or(0, |r| r.resends);
                if received - 1 <= marked {
                    report.doubled_with_mark += 1;
                } else {
                    report.findings.push(Finding::Doubled {
                        tag: text.tag.clone(),
                        received: *received,
                        marked,
                    });
                }
            }
        }
    }
    report.findings.sort();
    report
}

/// The store by tag; a text must be there once, and in a place of its own.
fn check_store<'r>(run: &'r Run, report: &mut Report) -> HashMap<&'r str, &'r Stored> {
    let mut by_tag: HashMap<&str, &Stored> = HashMap::new();
    let mut places: HashMap<(&str, i64), &str> = HashMap::new();
    for row in &run.stored {
        if by_tag.insert(&row.tag, row).is_some() {
            report.findings.push(Finding::Store {
                tag: row.tag.clone(),
                what: "stored twice".into(),
            });
        }
        if let Some(other) = places.insert((&row.conversation, row.seq), &row.tag) {
            let what = format!("has the same sequence as {other}");
            report.findings.push(Finding::Store {
                tag: row.tag.clone(),
                what,
            });
        }
    }
    by_tag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(tenant: &str) -> Pair {
        Pair {
            tenant: tenant.into(),
            ours: "+1".into(),
            customer: "+2".into(),
        }
    }

    fn seen(tenant: &str, flow: Flow, tag: &str) -> Seen {
        Seen {
            pair: pair(tenant),
            flow,
            tag: tag.into(),
            at_ms: 0,
        }
    }

    fn stored(tag: &str, seq: i64, state: &str, resends: u32) -> Stored {
        Stored {
            pair: pair("a"),
            flow: Flow::ToAgent,
            tag: tag.into(),
            conversation: "k".into(),
            seq,
            state: state.into(),
            resends,
        }
    }

    /// Three texts to the agent, all well.
    fn good() -> Run {
        let three = || {
            ["#c-1", "#c-2", "#c-3"]
                .map(|t| seen("a", Flow::ToAgent, t))
                .to_vec()
        };
        Run {
            sent: three(),
            received: three(),
            stored: vec![
                stored("#c-1", 1, "delivered", 0),
                stored("#c-2", 2, "delivered", 0),
                stored("#c-3", 3, "delivered", 0),
            ],
            late_after_ms: 100,
        }
    }

    #[test]
    fn a_good_run_is_clean() {
        let report = check(&good());
        assert!(report.is_clean(), "{report}");
    }

    #[test]
    fn each_fault_is_found() {
        type Case = (&'static str, fn(&mut Run), fn(&Finding) -> bool);
        let cases: Vec<Case> = vec![
            (
                "lost",
                |r| drop(r.received.remove(1)),
                |f| matches!(f, Finding::Lost { tag, .. } if tag == "#c-2"),
            ),
            (
                "doubled",
                |r| r.received.push(seen("a", Flow::ToAgent, "#c-2")),
                |f| matches!(f, Finding::Doubled { tag, received: 2, marked: 0 } if tag == "#c-2"),
            ),
            (
                "order",
                |r| r.received.swap(1, 2),
                |f| matches!(f, Finding::OutOfOrder { tag, .. } if tag == "#c-2"),
            ),
            (
                "crossed tenant",
                |r| r.received[0].pair = pair("b"),
                |f| matches!(f, Finding::Crossed { tag, .. } if tag == "#c-1"),
            ),
            (
                "crossed flow",
                |r| r.received[0].flow = Flow::ToPhone,
                |f| matches!(f, Finding::Crossed { tag, .. } if tag == "#c-1"),
            ),
            (
                "invented",
                |r| r.received.push(seen("a", Flow::ToAgent, "#c-9")),
                |f| matches!(f, Finding::Invented { tag } if tag == "#c-9"),
            ),
            (
                "stored twice",
                |r| r.stored.push(stored("#c-1", 4, "delivered", 0)),
                |f| matches!(f, Finding::Store { tag, .. } if tag == "#c-1"),
            ),
            (
                "same place",
                |r| r.stored[1].seq = 1,
                |f| matches!(f, Finding::Store { tag, .. } if tag == "#c-2"),
            ),
            (
                "not stored",
                |r| drop(r.stored.remove(0)),
                |f| matches!(f, Finding::Store { tag, .. } if tag == "#c-1"),
            ),
        ];
        for (name, break_it, expected) in cases {
            let mut run = good();
            break_it(&mut run);
            let report = check(&run);
            assert!(report.findings.iter().any(expected), "{name}: {report}");
        }
    }

    #[test]
    fn marks_and_dead_letters_are_allowed_and_counted() {
        let mut run = good();
        run.received.push(seen("a", Flow::ToAgent, "#c-2"));
        run.stored[1].resends = 1;
        run.received.retain(|r| r.tag != "#c-3");
        run.stored[2].state = "refused".into();
        let report = check(&run);
        assert!(report.is_clean(), "{report}");
        assert_eq!((report.doubled_with_mark, report.dead.len()), (1, 1));
    }

    #[test]
    fn a_pending_text_is_lost_and_a_slow_one_late() {
        let mut run = good();
        run.received.remove(2);
        run.stored[2].state = "accepted".into();
        run.received[0].at_ms = 500;
        let report = check(&run);
        assert!(matches!(&report.findings[..], [Finding::Lost { state: Some(s), .. }] if s == "accepted"));
        assert_eq!((report.late, report.slowest_ms), (1, 500));
    }

    #[test]
    fn tags_are_found_in_texts() {
        assert_eq!(tag_of("hello #c-6211-17, how are you?"), Some("#c-6211-17"));
        assert_eq!(tag_of("#a-1."), Some("#a-1"));
        assert_eq!(tag_of("#a-1"), Some("#a-1"));
        for none in ["", "no tag", "#", "#abc", "# 1"] {
            assert_eq!(tag_of(none), None, "{none}");
        }
    }
}
