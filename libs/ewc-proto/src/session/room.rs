//! Who is in the chat besides the customer.

use crate::frame::{AgentId, NewParticipant, Participant, ParticipantLeave, ParticipantType, Private};

/// The room, judged by the lists of participants that AACC sends, never by its counts (which include the customer).
#[derive(Debug)]
pub(super) struct Room {
    participants: Vec<Participant>,
    state: Occupancy,
    observer_opens: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occupancy {
    Empty,
    Open,
    /// Empty when the link broke. Somebody may have come in since, and AACC does not say so again: the next text finds out.
    Unsure,
}

impl Room {
    /// `open`: somebody is known to be in, though not who (a chat taken over from another session).
    pub fn new(open: bool, observer_opens: bool) -> Self {
        let state = if open { Occupancy::Open } else { Occupancy::Empty };
        Room {
            participants: Vec::new(),
            state,
            observer_opens,
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
        self.state = Occupancy::Empty;
    }

    fn find(&self, id: Option<&AgentId>) -> Option<&Participant> {
        id.and_then(|id| self.participants.iter().find(|p| p.id.as_ref() == Some(id)))
    }

    fn judge(&mut self) {
        let open = self
            .participants
            .iter()
            .any(|p| self.observer_opens || opens_room(&p.kind));
        self.state = if open { Occupancy::Open } else { Occupancy::Empty };
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
