//! Who is in the chat besides the customer.

use crate::frame::{AgentId, NewParticipant, Participant, ParticipantLeave, ParticipantType, Private};

/// The room, judged by the lists of participants that AACC sends, never by its counts (which include the customer).
#[derive(Debug)]
pub(super) struct Room {
    participants: Vec<Participant>,
    open: bool,
    observer_opens: bool,
}

impl Room {
    /// `open`: somebody is known to be in, though not who (a chat taken over from another session).
    pub fn new(open: bool, observer_opens: bool) -> Self {
        Room {
            participants: Vec::new(),
            open,
            observer_opens,
        }
    }

    /// Texts can go in.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Takes a `newParticipant` in; true if they were not in already (a replay tells it again).
    pub fn enter(&mut self, joined: NewParticipant) -> bool {
        let is_new = joined.agent_id.is_none() || self.find(joined.agent_id.as_ref()).is_none();
        if !joined.participants.is_empty() {
            self.participants = joined.participants;
        } else if is_new {
            self.participants.push(Participant {
                id: joined.agent_id,
                name: joined.display_name,
                kind: joined.role,
            });
        }
        self.judge();
        is_new
    }

    /// Takes a `participantLeave`; returns the leaver's name if it was known.
    pub fn leave(&mut self, left: &mut ParticipantLeave) -> Private {
        let name = self
            .find(left.agent_id.as_ref())
            .map(|p| p.name.clone())
            .unwrap_or_default();
        self.participants = std::mem::take(&mut left.participants);
        self.judge();
        name
    }

    pub fn clear(&mut self) {
        self.participants = Vec::new();
        self.open = false;
    }

    fn find(&self, id: Option<&AgentId>) -> Option<&Participant> {
        id.and_then(|id| self.participants.iter().find(|p| p.id.as_ref() == Some(id)))
    }

    fn judge(&mut self) {
        self.open = self
            .participants
            .iter()
            .any(|p| self.observer_opens || opens_room(&p.kind));
    }
}

fn opens_room(kind: &ParticipantType) -> bool {
    match kind {
        ParticipantType::Active => true,
        ParticipantType::Passive
        | ParticipantType::Supervisor
        | ParticipantType::SupervisorObserve
        | ParticipantType::SupervisorBarge => false,
        // A name that we do not know may be an agent's: AACC refuses the text if not, while holding it could last for ever.
        ParticipantType::Other(_) => true,
    }
}
