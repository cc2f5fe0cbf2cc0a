//! The synthetic chat: opens, says that it is a test, cuts its own socket, comes back, leaves.

mod open;

use std::time::Duration;

use ccm_ewc_proto::frame::{AaccError, ClientFrame, ErrorKind, ServerFrame};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use crate::cause::Cause;
use crate::dialling;
use crate::explain::Patient;
use crate::log::{Log, Seen, fact, shown};
use crate::plan::{Plan, SyntheticChat};
use crate::report::{Fact, Finding, StepKind};
use crate::socket::{Heard, Pong, closed, cut};
use open::{Accepted, Open, TestChat};

/// What the agent reads.
const TEST_TEXT: &str = "This is a test of the link between Contact Center Messaging and this contact center. Nothing needs to be \
                         answered; the chat ends by itself.";
/// How long an acknowledgement may take.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the transcript may take after a resume.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(3);
/// Between the cut and the resume: AACC should notice the cut.
const CUT_PAUSE: Duration = Duration::from_millis(500);

pub(crate) const STEPS: [StepKind; 6] = [
    StepKind::ChatOpen,
    StepKind::ChatPing,
    StepKind::ChatAgent,
    StepKind::ChatResume,
    StepKind::ChatTranscript,
    StepKind::ChatClose,
];

pub(crate) fn skip(log: &mut Log<'_>, steps: &[StepKind], because: &str) {
    for kind in steps {
        log.note(*kind, None, Seen::skipped(because));
    }
}

pub(crate) async fn examine(
    log: &mut Log<'_>,
    patient: &Patient<'_>,
    plan: &Plan,
    synthetic: &SyntheticChat,
    tidying: &TaskTracker,
) {
    let opened = log
        .step(StepKind::ChatOpen, open(patient, synthetic, tidying))
        .await;
    let Some(mut chat) = opened else {
        return skip(log, &STEPS[1..], "no test chat could be opened");
    };
    let open = chat.open();
    let pinged = log
        .step(StepKind::ChatPing, async { pinged(open, plan).await })
        .await;
    if pinged && !open.ended {
        log.step(StepKind::ChatAgent, async {
            (with_agent(open, plan, synthetic).await, ())
        })
        .await;
    } else {
        skip(
            log,
            &[StepKind::ChatAgent],
            "the test chat's socket carries nothing",
        );
    }
    if open.ended || open.route_cancelled {
        let steps = [StepKind::ChatResume, StepKind::ChatTranscript];
        skip(log, &steps, "the test chat was ended by the other side");
    } else if log
        .step(StepKind::ChatResume, resume(open, patient, plan, synthetic))
        .await
    {
        log.step(StepKind::ChatTranscript, async { (transcript(open).await, ()) })
            .await;
    } else {
        skip(
            log,
            &[StepKind::ChatTranscript],
            "the test chat could not be resumed",
        );
    }
    log.step(StepKind::ChatClose, async { (close(open).await, ()) })
        .await;
    // Where even several tries could not close it, dropping would try in vain.
    chat.forget();
}

async fn open(
    patient: &Patient<'_>,
    synthetic: &SyntheticChat,
    tidying: &TaskTracker,
) -> (Seen, Option<TestChat>) {
    let socket = match dialling::again(patient).await {
        Ok(socket) => socket,
        Err(seen) => return (seen, None),
    };
    let mut chat = TestChat::new(
        Open::new(patient.dialer.clone(), socket, &synthetic.skillset),
        tidying.clone(),
    );
    let asked = Instant::now();
    let answer = chat.open().request(synthetic.answer_timeout).await;
    let (finding, facts) = match answer {
        Accepted::Yes(accepted) => {
            let guid = accepted
                .guid
                .as_ref()
                .map_or("none".to_owned(), |guid| guid.as_str().to_owned());
            let seen = Seen::passed()
                .fact("skillset", &synthetic.skillset)
                .fact("answered after", shown(asked.elapsed()))
                .fact("guid", guid)
                .fact("comfort groups", accepted.comfort_groups.len())
                .fact("on-hold addresses", accepted.on_hold_urls.len());
            return (seen, Some(chat));
        }
        Accepted::No(error) => (refused(&error), chat.open().words(&error)),
        Accepted::Cut(Some(1009)) => (
            Finding::new(
                Cause::BodyLimitTooSmall,
                "The request for a chat was refused as too large (close code 1009).",
            ),
            Vec::new(),
        ),
        Accepted::Cut(code) => (cut("when a chat was asked for", code), Vec::new()),
        Accepted::Never => (
            Finding::new(
                Cause::ChatUnanswered,
                format!(
                    "The request for a chat was not answered within {}.",
                    shown(synthetic.answer_timeout)
                ),
            ),
            Vec::new(),
        ),
    };
    // An error opened no chat. After silence one may stand there all the same: dropping sees to it.
    if matches!(finding.cause, Cause::ChatRefused | Cause::Maintenance) {
        chat.forget();
    }
    (Seen::failed(finding).facts(facts), None)
}

fn refused(error: &AaccError) -> Finding {
    match error.kind() {
        ErrorKind::Maintenance => Finding::new(
            Cause::Maintenance,
            "AACC answers requests for a chat with error 503: the contact center shuts down or is in maintenance.",
        ),
        _ => Finding::new(
            Cause::ChatRefused,
            format!("AACC answered the request for a chat with {}.", coded(error)),
        ),
    }
}

fn coded(error: &AaccError) -> String {
    match error.code {
        Some(code) => format!("error {code}"),
        None => "an error without a code".to_owned(),
    }
}

async fn pinged(open: &mut Open, plan: &Plan) -> (Seen, bool) {
    match open.ping(plan.ping_timeout).await {
        Pong::After(time) | Pong::Refused(time) => (Seen::passed().fact("round trip", shown(time)), true),
        Pong::Closed(code) => (
            Seen::failed(cut("in the test chat, while a ping was under way", code)),
            false,
        ),
        Pong::Never => {
            let explanation = format!(
                "A ping in an open chat was not answered within {}. CCM takes such a link for dead.",
                shown(plan.ping_timeout)
            );
            (
                Seen::failed(Finding::new(Cause::PingsUnanswered, explanation)),
                true,
            )
        }
    }
}

/// Waits for an agent, pinging as the connector does, and says that this is a test.
async fn with_agent(open: &mut Open, plan: &Plan, synthetic: &SyntheticChat) -> Seen {
    if synthetic.wait.is_zero() && !open.agent_in {
        return Seen::skipped("not asked for: the doctor was told to wait for nobody");
    }
    let began = Instant::now();
    let deadline = began + synthetic.wait;
    let mut ping_at = began + plan.ping_every;
    while !open.agent_in {
        if open.ended {
            return Seen::warned(Finding::new(
                Cause::ChatEnded,
                "The test chat was ended by the other side before an agent joined.",
            ));
        }
        if open.route_cancelled {
            return Seen::warned(Finding::new(
                Cause::NoAgents,
                "AACC found no agent for the test chat and gave up (routeCancel).",
            ));
        }
        if Instant::now() >= deadline {
            return Seen::skipped(format!("no agent joined within {}", shown(synthetic.wait)));
        }
        match open.hear(deadline.min(ping_at)).await {
            Heard::Closed(code) => return Seen::failed(cut("while the test chat waited for an agent", code)),
            Heard::Nothing if Instant::now() >= ping_at => {
                ping_at += plan.ping_every;
                open.send(ClientFrame::Ping).await;
            }
            Heard::Nothing | Heard::Frame(_) => {}
        }
    }
    let joined = began.elapsed();
    say(open).await.fact("an agent joined after", shown(joined))
}

async fn say(open: &mut Open) -> Seen {
    let message = TEST_TEXT.into();
    open.send(ClientFrame::NewMessage { message }).await;
    let sent = Instant::now();
    let unacknowledged = || {
        Seen::warned(Finding::new(
            Cause::TextNotAcknowledged,
            format!(
                "The test text was not acknowledged within {}.",
                shown(ACK_TIMEOUT)
            ),
        ))
    };
    loop {
        match open.hear(sent + ACK_TIMEOUT).await {
            Heard::Frame(ServerFrame::Acknowledgement { method, result })
                if method.eq_ignore_ascii_case("newMessage") =>
            {
                if result {
                    open.said.push(TEST_TEXT.to_owned());
                    return Seen::passed().fact("text acknowledged after", shown(sent.elapsed()));
                }
                let explanation = "AACC acknowledged the test text with result false.";
                return Seen::failed(Finding::new(Cause::TextRefused, explanation));
            }
            Heard::Frame(ServerFrame::Error(error)) => {
                let explanation = format!("AACC answered the test text with {}.", coded(&error));
                return Seen::failed(Finding::new(Cause::TextRefused, explanation)).facts(open.words(&error));
            }
            Heard::Frame(_) if open.ended => {
                return Seen::warned(Finding::new(
                    Cause::ChatEnded,
                    "The test chat was ended by the other side before the test text was acknowledged.",
                ));
            }
            Heard::Frame(_) => {}
            Heard::Closed(Some(1009)) => {
                return Seen::failed(Finding::new(
                    Cause::BodyLimitTooSmall,
                    "The test text was refused as too large (close code 1009).",
                ));
            }
            Heard::Closed(code) => return Seen::failed(cut("when the test text was sent", code)),
            Heard::Nothing => return unacknowledged(),
        }
    }
}

/// Cuts the socket and comes back with guid and key. Whether the chat goes on.
async fn resume(
    open: &mut Open,
    patient: &Patient<'_>,
    plan: &Plan,
    synthetic: &SyntheticChat,
) -> (Seen, bool) {
    open.cut();
    let cut_at = Instant::now();
    sleep(CUT_PAUSE).await;
    match dialling::again(patient).await {
        Ok(socket) => open.come_back(socket),
        Err(seen) => return (seen, false),
    }
    let asked = open.session.as_ref().map(|(guid, _)| guid.clone());
    let refused = |explanation: String| Seen::failed(Finding::new(Cause::ResumeRefused, explanation));
    let mut seen = match open.request(synthetic.answer_timeout).await {
        Accepted::Yes(accepted) => match (accepted.guid, asked) {
            (Some(got), Some(asked)) if got != asked => {
                let explanation = format!(
                    "AACC answered the resume of chat {} with another chat, {}: the customer's chat was lost with its socket.",
                    asked.as_str(),
                    got.as_str()
                );
                return (refused(explanation), false);
            }
            (Some(got), _) => Seen::passed().fact("same guid", got.as_str()),
            (None, _) => Seen::passed().fact("guid", "not repeated by AACC"),
        },
        Accepted::No(error) => {
            let facts = open.words(&error);
            open.cut();
            let seen = match error.kind() {
                ErrorKind::Maintenance => Seen::failed(refused_maintenance()),
                _ => refused(format!(
                    "AACC answered the resume with {}: it forgot the chat as soon as its socket was gone.",
                    coded(&error)
                )),
            };
            return (seen.facts(facts), false);
        }
        Accepted::Cut(code) => {
            open.cut();
            return (Seen::failed(cut("when the chat was to be resumed", code)), false);
        }
        Accepted::Never => {
            open.cut();
            let explanation = "The request to resume was never answered.".to_owned();
            return (
                Seen::failed(Finding::new(Cause::ChatUnanswered, explanation)),
                false,
            );
        }
    };
    seen = seen.fact("back after", shown(cut_at.elapsed()));
    match open.ping(plan.ping_timeout).await {
        Pong::After(time) | Pong::Refused(time) => (seen.fact("round trip", shown(time)), true),
        // The ping step has said that.
        Pong::Never => (seen.fact("round trip", "no answer"), true),
        Pong::Closed(code) => (
            Seen::failed(cut("right after the resume", code)).fact("how", closed(code)),
            false,
        ),
    }
}

fn refused_maintenance() -> Finding {
    Finding::new(
        Cause::Maintenance,
        "AACC answered the resume with error 503: it shuts down or is in maintenance.",
    )
}

/// Whether what was said before the cut is told again.
async fn transcript(open: &mut Open) -> Seen {
    if open.said.is_empty() {
        return Seen::skipped("nothing was said before the cut, so there is nothing to tell again");
    }
    let deadline = Instant::now() + REPLAY_TIMEOUT;
    let told = |open: &Open| {
        open.replayed
            .iter()
            .filter(|text| open.said.contains(text))
            .count()
    };
    while told(open) < open.said.len() {
        match open.hear(deadline).await {
            Heard::Frame(_) => {}
            Heard::Nothing | Heard::Closed(_) => break,
        }
    }
    let facts = [
        fact("said before the cut", open.said.len()),
        fact("told again", told(open)),
    ];
    match told(open) {
        0 => Seen::warned(Finding::new(
            Cause::TranscriptNotReplayed,
            "After the resume AACC did not tell again what was said before, although it was asked to: what agents write while a \
             socket is down is lost.",
        ))
        .facts(facts),
        _ => Seen::passed().facts(facts),
    }
}

/// Leaves as a customer does.
async fn close(open: &mut Open) -> Seen {
    if open.ended {
        open.hang_up().await;
        return Seen::passed().fact("ended by", "the other side");
    }
    match open.leave().await {
        Ok(()) => Seen::passed(),
        Err(why) => {
            let explanation = format!("The test chat could not be closed: {why}.");
            Seen::warned(Finding::new(Cause::ChatNotClosed, explanation))
        }
    }
}

/// An error's words as evidence.
fn error_facts(code: Option<i64>, words: String) -> Vec<Fact> {
    let mut facts = Vec::new();
    facts.extend(code.map(|code| fact("AACC's error code", code)));
    if !words.is_empty() {
        facts.push(fact("AACC's words", words));
    }
    facts
}
