//! Steps as they are taken.

use std::time::Duration;

use tokio::time::Instant;

use crate::report::{Endpoint, Fact, Finding, Outcome, Progress, Step, StepKind, tame};

/// What a step came to.
#[derive(Debug)]
pub(crate) struct Seen {
    outcome: Outcome,
    because: Option<String>,
    evidence: Vec<Fact>,
    finding: Option<Finding>,
}

impl Seen {
    pub fn passed() -> Self {
        Seen::new(Outcome::Passed, None)
    }

    pub fn warned(finding: Finding) -> Self {
        Seen::new(Outcome::Warned, Some(finding))
    }

    pub fn failed(finding: Finding) -> Self {
        Seen::new(Outcome::Failed, Some(finding))
    }

    pub fn advice(finding: Finding) -> Self {
        Seen::new(Outcome::Advice, Some(finding))
    }

    pub fn skipped(because: impl Into<String>) -> Self {
        Seen {
            because: Some(because.into()),
            ..Seen::new(Outcome::Skipped, None)
        }
    }

    /// Passed, or warned if there is something to warn of.
    pub fn passed_unless(finding: Option<Finding>) -> Self {
        finding.map_or_else(Seen::passed, Seen::warned)
    }

    pub fn is_passed(&self) -> bool {
        self.outcome == Outcome::Passed
    }

    fn new(outcome: Outcome, finding: Option<Finding>) -> Self {
        Seen {
            outcome,
            because: None,
            evidence: Vec::new(),
            finding,
        }
    }

    /// With one more fact.
    pub fn fact(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.evidence.push(fact(name, value));
        self
    }

    /// With more facts.
    pub fn facts(mut self, facts: impl IntoIterator<Item = Fact>) -> Self {
        self.evidence.extend(facts);
        self
    }
}

pub(crate) fn fact(name: impl Into<String>, value: impl ToString) -> Fact {
    Fact {
        name: tame(&name.into()),
        value: tame(&value.to_string()),
    }
}

/// `1.234 s`, `12 ms`
pub(crate) fn shown(time: Duration) -> String {
    match time {
        time if time < Duration::from_millis(1) => format!("{:.1} ms", time.as_secs_f64() * 1000.0),
        time if time < Duration::from_secs(1) => format!("{} ms", time.as_millis()),
        time => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// The steps of one examination, told of while they are taken.
pub(crate) struct Log<'a> {
    pub endpoint: Endpoint,
    pub steps: Vec<Step>,
    tell: &'a mut (dyn FnMut(Progress<'_>) + Send),
}

impl<'a> Log<'a> {
    pub fn new(tell: &'a mut (dyn FnMut(Progress<'_>) + Send)) -> Self {
        Log {
            endpoint: Endpoint::Primary,
            steps: Vec::new(),
            tell,
        }
    }

    /// Takes a step.
    pub async fn step<T>(&mut self, kind: StepKind, work: impl Future<Output = (Seen, T)>) -> T {
        self.step_about(kind, None, work).await
    }

    /// Takes a step about something that has a name.
    pub async fn step_about<T>(
        &mut self,
        kind: StepKind,
        about: Option<&str>,
        work: impl Future<Output = (Seen, T)>,
    ) -> T {
        let title = title(kind, about);
        let endpoint = self.endpoint;
        (self.tell)(Progress::Began {
            endpoint,
            kind,
            title: &title,
        });
        let began = Instant::now();
        // Handshakes are large.
        let (seen, result) = Box::pin(work).await;
        self.finish(kind, title, began.elapsed(), seen);
        result
    }

    /// Notes a step that takes no time.
    pub fn note(&mut self, kind: StepKind, about: Option<&str>, seen: Seen) {
        self.finish(kind, title(kind, about), Duration::ZERO, seen);
    }

    fn finish(&mut self, kind: StepKind, title: String, took: Duration, seen: Seen) {
        let Seen {
            outcome,
            because,
            evidence,
            finding,
        } = seen;
        let step = Step {
            endpoint: self.endpoint,
            kind,
            title,
            outcome,
            because,
            duration_ms: took.as_millis() as u64,
            evidence,
            finding,
        };
        (self.tell)(Progress::Finished(&step));
        self.steps.push(step);
    }

    /// The worst that was found.
    pub fn outcome(&self) -> Outcome {
        let any = |outcome| self.steps.iter().any(|step| step.outcome == outcome);
        match () {
            () if any(Outcome::Failed) => Outcome::Failed,
            () if any(Outcome::Warned) => Outcome::Warned,
            () => Outcome::Passed,
        }
    }
}

fn title(kind: StepKind, about: Option<&str>) -> String {
    match about {
        Some(about) => format!("{}: {about}", kind.title()),
        None => kind.title().to_owned(),
    }
}
