//! The test chat, when something is wrong; and that it is never left behind.

use std::time::Duration;

use ccm_aacc_sim::{Agent, ChatState, Settings, Sim, Skillset, Transcript};
use ccm_doctor::{Cause, Doctor, Outcome, Plan, StepKind, SyntheticChat};
use ccm_model::Clock;
use tokio::time::timeout;

use crate::rig::*;

const SKILLSET: &str = "WC_Default_Skillset";

fn with_chat(sim: &Sim, wait: Duration) -> Plan {
    Plan {
        chat: Some(SyntheticChat {
            wait,
            answer_timeout: Duration::from_secs(2),
            ..SyntheticChat::new(SKILLSET)
        }),
        ..plan(target(sim))
    }
}

fn nothing_is_left(sim: &Sim) -> bool {
    sim.chats().iter().all(|chat| chat.state == ChatState::Ended)
}

#[tokio::test]
async fn a_chat_that_does_not_survive_its_socket() {
    let sim = wss_with(Settings::default()).await;
    sim.set_faults(|faults| faults.refuse_resumes = true);
    let report = examine(with_chat(&sim, Duration::ZERO)).await;
    assert_eq!(report.causes(), [Cause::ResumeRefused, Cause::ChatNotClosed]);
    let resume = step(&report, StepKind::ChatResume);
    assert!(
        resume
            .finding
            .as_ref()
            .unwrap()
            .remedy
            .contains("Chat session to survive a webpage refresh")
    );
    let words = resume.evidence.iter().find(|f| f.name == "AACC's words").unwrap();
    assert!(words.value.contains("session key is invalid or expired"));
}

#[tokio::test]
async fn a_chat_that_is_refused() {
    let sim = wss_with(Settings {
        any_skillset: Skillset {
            max_chats: Some(0),
            ..Skillset::default()
        },
        ..Settings::default()
    })
    .await;
    assert_eq!(
        cause(with_chat(&sim, Duration::ZERO)).await,
        (StepKind::ChatOpen, Cause::ChatRefused)
    );
    assert!(sim.chats().is_empty());
}

#[tokio::test]
async fn pings_must_be_answered_in_a_chat() {
    let sim = wss_with(Settings::default()).await;
    sim.set_faults(|faults| faults.ignore_pings = true);
    let report = examine(with_chat(&sim, Duration::ZERO)).await;
    assert_eq!(step(&report, StepKind::Ping).outcome, Outcome::Warned);
    assert_eq!(step(&report, StepKind::ChatPing).outcome, Outcome::Failed);
    assert_eq!(report.causes()[0], Cause::PingsUnanswered);
    assert!(nothing_is_left(&sim));
}

#[tokio::test]
async fn a_transcript_that_is_not_told_again() {
    let sim = wss_with(Settings {
        transcript: Transcript::Never,
        ..Settings::default()
    })
    .await;
    let examined = examine(with_chat(&sim, Duration::from_secs(20)));
    let joined = async {
        let chat = sim
            .wait_for_chat(|chat| chat.state == ChatState::Waiting, Duration::from_secs(20))
            .await
            .unwrap();
        sim.join(chat.guid, Agent::new("7000", "Russell")).unwrap();
    };
    let (report, ()) = tokio::join!(examined, joined);
    assert_eq!(report.causes(), [Cause::TranscriptNotReplayed], "{report:#?}");
    let told = sim.record().chats.remove(0).received;
    assert!(told[0].text.contains("This is a test"), "the agent is told");
    assert!(nothing_is_left(&sim));
}

#[tokio::test]
async fn an_agent_who_ends_the_chat() {
    let sim = wss_with(Settings::default()).await;
    let examined = examine(with_chat(&sim, Duration::from_secs(20)));
    let ended = async {
        let chat = sim
            .wait_for_chat(|chat| chat.state == ChatState::Waiting, Duration::from_secs(20))
            .await
            .unwrap();
        sim.route_cancel(chat.guid).unwrap();
    };
    let (report, ()) = tokio::join!(examined, ended);
    assert!(
        matches!(
            report.causes().as_slice(),
            [Cause::NoAgents | Cause::ChatEnded, ..]
        ),
        "{report:#?}"
    );
    assert!(nothing_is_left(&sim));
}

#[tokio::test]
async fn a_doctor_who_is_called_away_closes_the_chat() {
    let sim = wss_with(Settings::default()).await;
    let doctor = Doctor::new(with_chat(&sim, Duration::from_secs(60)), Clock::system());
    let examined = doctor.run(|_| {});
    let called_away = sim.wait_for_chat(|chat| chat.state == ChatState::Waiting, Duration::from_secs(20));
    tokio::select! {
        _ = examined => panic!("it waits for an agent"),
        chat = called_away => { chat.unwrap(); }
    }
    timeout(Duration::from_secs(20), doctor.tidied()).await.unwrap();
    assert!(nothing_is_left(&sim), "{:?}", sim.chats());
    assert_eq!(sim.record().chats.len(), 1);
}

#[tokio::test]
async fn a_link_that_breaks_in_the_test_is_told_and_the_chat_closed() {
    let sim = wss_with(Settings::default()).await;
    let examined = examine(with_chat(&sim, Duration::from_secs(20)));
    let broken = async {
        let chat = sim
            .wait_for_chat(|chat| chat.state == ChatState::Waiting, Duration::from_secs(20))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        sim.break_sockets(chat.guid.into(), ccm_aacc_sim::Break::Reset);
    };
    let (report, ()) = tokio::join!(examined, broken);
    assert_eq!(report.causes(), [Cause::ConnectionCut], "{report:#?}");
    assert_eq!(step(&report, StepKind::ChatResume).outcome, Outcome::Passed);
    assert!(nothing_is_left(&sim));
}
