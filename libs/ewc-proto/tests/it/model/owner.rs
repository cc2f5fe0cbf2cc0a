//! The owner of a conversation: what the connector keeps in the store and does with events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ccm_ewc_proto::frame::*;
use ccm_ewc_proto::heard::{Fingerprint, Replay};
use ccm_ewc_proto::session::*;

use super::Seen;

#[derive(Default)]
pub struct Owner {
    /// Texts not delivered, by number.
    pub line: VecDeque<u64>,
    pub last_text: u64,
    pub in_flight: Option<u64>,
    pub doubts: BTreeMap<u64, u32>,
    pub dead: BTreeSet<u64>,
    /// Texts that an answer to another one can have been taken for.
    pub tainted: BTreeSet<u64>,
    /// The last text that was held or in doubt.
    pub troubled: Option<u64>,
    pub identity: Option<(Guid, AuthKey)>,
    pub agent_present: bool,
    heard: Vec<(Fingerprint, i64)>,
    replay: Replay,
}

impl Owner {
    pub fn guid(&self) -> Option<u64> {
        let (guid, _) = self.identity.as_ref()?;
        guid.as_str().parse().ok()
    }

    /// How the next session of this conversation starts.
    pub fn login(&mut self) -> Login {
        self.load_replay();
        let (guid, key) = self.identity.clone().unzip();
        Login::from_stored(guid, key, self.agent_present)
    }

    /// The conversation goes on in another chat, or never had one.
    pub fn forget_chat(&mut self) {
        self.identity = None;
        self.agent_present = false;
    }

    /// The text in flight may have arrived.
    pub fn doubt(&mut self, token: u64, seen: &mut Seen) {
        assert_eq!(self.line.front(), Some(&token));
        assert_eq!(self.in_flight.take(), Some(token));
        self.troubled = Some(token);
        *self.doubts.entry(token).or_default() += 1;
        *seen.entry("a text in doubt").or_default() += 1;
    }

    fn load_replay(&mut self) {
        self.replay = Replay::new(self.heard.iter().map(|(f, _)| (*f, 1)));
    }

    /// Takes what is not `Closed`.
    pub fn hear(&mut self, event: Event, taken: &[u64], seen: &mut Seen) {
        let mut saw = |what| *seen.entry(what).or_default() += 1;
        match event {
            Event::TextDelivered { token } => {
                assert_eq!(self.line.pop_front(), Some(token));
                assert_eq!(self.in_flight.take(), Some(token));
                if taken.contains(&token) {
                    saw("a text delivered");
                } else {
                    assert!(self.tainted.contains(&token), "{token} was never taken");
                    saw("an answer to the wrong text");
                }
            }
            Event::TextHeld { token, .. } => {
                assert_eq!(self.line.front(), Some(&token));
                assert_eq!(self.in_flight.take(), Some(token));
                self.troubled = Some(token);
                saw("a text held");
            }
            Event::TextInDoubt { token } => self.doubt(token, seen),
            Event::TextRefused { token, .. } => {
                assert_eq!(self.line.pop_front(), Some(token));
                assert_eq!(self.in_flight.take(), Some(token));
                self.dead.insert(token);
                saw("a dead letter");
            }
            Event::ChatOpened { guid, key } => {
                assert!(
                    self.identity.as_ref().is_none_or(|(ours, _)| *ours != guid),
                    "opened again: {guid}"
                );
                self.identity = Some((guid, key));
            }
            Event::Resumed { rekeyed } => {
                saw("a resume");
                let (_, key) = self.identity.as_mut().expect("a chat");
                if let Some(rekeyed) = rekeyed {
                    *key = rekeyed;
                    saw("a resume with a new key");
                }
            }
            Event::SessionExpired => {
                assert!(!self.agent_present);
                self.forget_chat();
                saw("an expired chat");
            }
            Event::AgentPresent(present) => {
                assert_ne!(present, self.agent_present);
                self.agent_present = present;
            }
            Event::Joined { role, shown, .. } => match role {
                ParticipantType::SupervisorObserve => {
                    assert!(!shown);
                    saw("an observer");
                }
                ParticipantType::SupervisorBarge => saw("a supervisor who barged in"),
                _ => assert!(shown),
            },
            Event::Left { reason, .. } if reason.is_some() => saw("a transfer or requeue"),
            Event::AgentText {
                name,
                text,
                timestamp_ms,
                sender,
                after_resume,
                ..
            } => {
                if sender == Sender::Customer {
                    assert!(text.starts_with('c'), "an agent's words taken for the customer's");
                    return saw("a replayed text of the customer");
                }
                let said = text.strip_prefix('a').expect("not the customer's own words");
                let fingerprint = Fingerprint::of(timestamp_ms, &name, &text);
                if after_resume && self.replay.is_repeat(fingerprint) {
                    saw("a repeated text of an agent");
                } else {
                    self.heard.push((fingerprint, said.parse().unwrap()));
                }
            }
            Event::LinkLost { .. } => {
                self.load_replay();
                saw("a broken link");
            }
            Event::Maintenance => saw("maintenance"),
            _ => {}
        }
    }

    /// What agents said, as the customer got it; each once.
    pub fn heard(&self) -> BTreeSet<i64> {
        let heard: BTreeSet<i64> = self.heard.iter().map(|(_, said)| *said).collect();
        assert_eq!(heard.len(), self.heard.len(), "heard twice: {:?}", self.heard);
        heard
    }
}
