//! Who is in the chat besides the customer.

use std::fmt;

use super::config::Config;
use crate::frame::{AgentId, NewParticipant, Participant, ParticipantLeave, ParticipantType, Private};

/// The room, judged by the lists of participants that AACC sends, never by its counts (which include the customer).
#[derive(Debug)]
pub(super) struct Room {
    members: Vec<Member>,
    state: Occupancy,
    /// Nothing was said since somebody came into the empty room.
    first_words_due: bool,
}

#[derive(Debug)]
struct Member {
    who: Participant,
    /// The owner knows them as one whom the customer may see.
    told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occupancy {
    Empty,
    Open,
    /// Empty when the link broke. Somebody may have come in since, and AACC does not say so again: the next text finds out.
    Unsure,
}

/// Somebody who came in, or whom the customer may see from now on.
pub(super) struct Arrival {
    pub agent: Option<AgentId>,
    pub display_name: Private,
    pub role: ParticipantType,
    pub shown: bool,
}

pub(super) struct Departure {
    pub display_name: Private,
    pub shown: bool,
    /// Those who were in and whom the customer may see from now on.
    pub arrivals: Vec<Arrival>,
}

impl Room {
    /// `open`: somebody is known to be in, though not who (a chat taken over from another session).
    pub fn new(open: bool) -> Self {
        let state = if open { Occupancy::Open } else { Occupancy::Empty };
        Room {
            members: Vec::new(),
            state,
            first_words_due: false,
        }
    }

    /// Somebody is in who takes texts.
    pub fn is_open(&self) -> bool {
        self.state == Occupancy::Open
    }

    /// Nobody is known to be in, but a text may be tried.
    pub fn is_unsure(&self) -> bool {
        self.state == Occupancy::Unsure
    }

    /// The chat was resumed: an empty room may have filled meanwhile.
    pub fn doubt_empty(&mut self) {
        if self.state == Occupancy::Empty {
            self.state = Occupancy::Unsure;
        }
    }

    /// A text was taken: somebody is in.
    pub fn found_open(&mut self) {
        self.state = Occupancy::Open;
    }

    /// Takes a `newParticipant` in. Empty if it tells nothing new, as in a replay.
    pub fn enter(&mut self, joined: NewParticipant, config: &Config) -> Vec<Arrival> {
        let is_new = self.find(joined.agent_id.as_ref()).is_none();
        let itself = Participant {
            id: joined.agent_id,
            name: joined.display_name,
            kind: joined.role,
        };
        let list = match joined.participants {
            list if !list.is_empty() => list,
            _ => self.with(&itself),
        };
        let listed = list.iter().find(|p| p.id == itself.id);
        let role = listed.map_or_else(|| itself.kind.clone(), |p| p.kind.clone());
        let mut arrivals = self.replace(list, config);
        if is_new {
            arrivals.push(Arrival {
                agent: itself.id,
                display_name: itself.name,
                shown: is_shown(&role, config),
                role,
            });
        }
        arrivals
    }

    /// Takes a `participantLeave`; the leaver's name is empty if it was not known.
    pub fn leave(&mut self, left: &mut ParticipantLeave, config: &Config) -> Departure {
        let leaver = self.find(left.agent_id.as_ref());
        // Whom nobody announced came in before a take-over, as an agent more likely than as an observer.
        let (display_name, shown) =
            leaver.map_or((Private::default(), true), |m| (m.who.name.clone(), m.told));
        Departure {
            display_name,
            shown,
            arrivals: self.replace(std::mem::take(&mut left.participants), config),
        }
    }

    pub fn clear(&mut self) {
        *self = Room::new(false);
    }

    /// How many are in who open the room.
    pub fn openers(&self, config: &Config) -> usize {
        self.members.iter().filter(|m| opens(&m.who.kind, config)).count()
    }

    /// A text came: whether it is the first since somebody came into the empty room.
    pub fn take_first_words(&mut self) -> bool {
        std::mem::take(&mut self.first_words_due)
    }

    pub fn summary(&self) -> RoomSummary {
        let mut summary = RoomSummary {
            open: self.is_open(),
            ..RoomSummary::default()
        };
        for member in &self.members {
            *match member.who.kind {
                ParticipantType::Active => &mut summary.active,
                ParticipantType::Passive => &mut summary.passive,
                ParticipantType::SupervisorObserve => &mut summary.observing,
                ParticipantType::SupervisorBarge => &mut summary.barged_in,
                ParticipantType::Supervisor => &mut summary.supervisors,
                ParticipantType::Other(_) => &mut summary.others,
            } += 1;
        }
        summary
    }

    fn find(&self, id: Option<&AgentId>) -> Option<&Member> {
        id.and_then(|id| self.members.iter().find(|m| m.who.id.as_ref() == Some(id)))
    }

    /// Those in, and `one` as it is now.
    fn with(&self, one: &Participant) -> Vec<Participant> {
        let others = self.members.iter().map(|m| &m.who);
        others
            .filter(|p| one.id.is_none() || p.id != one.id)
            .chain([one])
            .cloned()
            .collect()
    }

    /// Those in are now `list`. Gives those who were in before and have become visible: a supervisor who barged in.
    fn replace(&mut self, list: Vec<Participant>, config: &Config) -> Vec<Arrival> {
        let was_open = self.is_open();
        let mut arrivals = Vec::new();
        let mut members = Vec::with_capacity(list.len());
        for who in list {
            let shown = is_shown(&who.kind, config);
            let before = self.find(who.id.as_ref()).map(|m| m.told);
            if shown && before == Some(false) {
                arrivals.push(Arrival {
                    agent: who.id.clone(),
                    display_name: who.name.clone(),
                    role: who.kind.clone(),
                    shown,
                });
            }
            members.push(Member {
                told: shown || before == Some(true),
                who,
            });
        }
        self.members = members;
        self.state = match self.openers(config) {
            0 => Occupancy::Empty,
            _ => Occupancy::Open,
        };
        self.first_words_due = self.is_open() && (self.first_words_due || !was_open);
        arrivals
    }
}

/// Whether the customer's texts can go to them.
fn opens(kind: &ParticipantType, config: &Config) -> bool {
    match kind {
        _ if config.observer_opens_chat => true,
        ParticipantType::Active => true,
        ParticipantType::SupervisorBarge => config.barge_in_opens_chat,
        ParticipantType::Passive | ParticipantType::Supervisor | ParticipantType::SupervisorObserve => false,
        // A name that we do not know may be an agent's: AACC refuses the text if not, while holding it could last for ever.
        ParticipantType::Other(_) => true,
    }
}

/// Whether the customer may know that they are in.
fn is_shown(kind: &ParticipantType, config: &Config) -> bool {
    match kind {
        ParticipantType::Active | ParticipantType::Passive | ParticipantType::Other(_) => true,
        ParticipantType::SupervisorBarge => config.barge_in_opens_chat,
        // A supervisor without a word of barging in may be observing.
        ParticipantType::Supervisor | ParticipantType::SupervisorObserve => false,
    }
}

/// Who is in, by role: for status pages and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomSummary {
    /// Somebody is in who takes texts; after a take-over it is not known who.
    pub open: bool,
    pub active: usize,
    pub passive: usize,
    pub observing: usize,
    pub barged_in: usize,
    /// Supervisors of whom AACC does not say more.
    pub supervisors: usize,
    pub others: usize,
}

impl fmt::Display for RoomSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.active, "active"),
            (self.passive, "passive"),
            (self.barged_in, "barged in"),
            (self.observing, "observing"),
            (self.supervisors, "supervisor"),
            (self.others, "of another type"),
        ];
        let mut separator = "";
        for (count, name) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {name}")?;
            separator = ", ";
        }
        match (separator, self.open) {
            ("", true) => f.write_str("somebody (not known who)"),
            ("", false) => f.write_str("nobody"),
            _ => Ok(()),
        }
    }
}
