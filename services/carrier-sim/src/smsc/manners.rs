//! What a message centre does to its ESMEs.

use ccm_smpp::{CommandStatus, message::MessageState};
use std::time::Duration;

/// How a message centre behaves until it is told otherwise.
#[derive(Debug, Clone)]
pub struct SmscManners {
    pub answering: Answering,
    /// Each so-and-so-many-th text is put off (`ESME_RTHROTTLED`); 0: none is.
    pub throttle_every: u32,
    /// The next texts are refused so, one after the other.
    pub refuse: Vec<CommandStatus>,
    pub receipts: Receipts,
    /// What becomes of texts, as receipts say it.
    pub state: MessageState,
    /// The network's error, beside a state that is none of success.
    pub error: Option<String>,
    /// Ids are hexadecimal in answers and decimal in receipts, as with some.
    pub hex_ids: bool,
}

impl Default for SmscManners {
    fn default() -> Self {
        Self {
            answering: Answering::AtOnce,
            throttle_every: 0,
            refuse: Vec::new(),
            receipts: Receipts::Words,
            state: MessageState::Delivered,
            error: None,
            hex_ids: false,
        }
    }
}

/// When a text that was taken is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answering {
    AtOnce,
    After(Duration),
    Never,
    /// So many are taken without an answer, and then the connection breaks: once.
    Drop {
        after: u32,
    },
}

/// How it says what became of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipts {
    None,
    /// SMPP 3.4 appendix B.
    Words,
    /// `receipted_message_id`, `message_state`, `network_error_code`.
    Parameters,
}

/// What is to happen to one text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Refused(CommandStatus),
    Taken(Answered),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    After(Duration),
    Never,
    /// And the connection breaks.
    Broken,
}

/// Manners, and how far they have come.
#[derive(Debug)]
pub(super) struct Mood {
    pub manners: SmscManners,
    seen: u32,
    unanswered: u32,
}

impl Mood {
    pub fn new(manners: SmscManners) -> Self {
        Self {
            manners,
            seen: 0,
            unanswered: 0,
        }
    }

    pub fn next(&mut self) -> Fate {
        if !self.manners.refuse.is_empty() {
            return Fate::Refused(self.manners.refuse.remove(0));
        }
        self.seen += 1;
        let every = self.manners.throttle_every;
        if every > 0 && self.seen.is_multiple_of(every) {
            return Fate::Refused(CommandStatus::EsmeRthrottled);
        }
        Fate::Taken(match self.manners.answering {
            Answering::AtOnce => Answered::After(Duration::ZERO),
            Answering::After(time) => Answered::After(time),
            Answering::Never => Answered::Never,
            Answering::Drop { after } => {
                self.unanswered += 1;
                if self.unanswered < after {
                    Answered::Never
                } else {
                    self.manners.answering = Answering::AtOnce;
                    Answered::Broken
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_wrong_goes_wrong_in_order() {
        let mut mood = Mood::new(SmscManners {
            refuse: vec![CommandStatus::EsmeRinvdstadr],
            throttle_every: 3,
            answering: Answering::Drop { after: 2 },
            ..SmscManners::default()
        });
        let fates: Vec<Fate> = (0..6).map(|_| mood.next()).collect();
        assert_eq!(
            fates,
            [
                Fate::Refused(CommandStatus::EsmeRinvdstadr),
                Fate::Taken(Answered::Never),
                Fate::Taken(Answered::Broken),
                Fate::Refused(CommandStatus::EsmeRthrottled),
                Fate::Taken(Answered::After(Duration::ZERO)),
                Fate::Taken(Answered::After(Duration::ZERO)),
            ]
        );
    }
}
