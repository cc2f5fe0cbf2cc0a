//! A whole text over a link: its parts in order, and what became of all of it.

use crate::{
    link::Handle,
    message::{Addr, Part},
    session::{Answer, Outcome},
    status,
};
use rusmpp::CommandStatus;

/// A part that the peer puts off is sent again so often before the whole text is given back: what has left of it would
/// be sent twice.
const TRIES: u32 = 5;

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The peer has all of it. The id is that of its last part, the one whose receipt was asked for.
    Taken { message_id: Option<String> },
    /// The peer refused it, or its next part. `partly`: it has those before.
    Refused { status: CommandStatus, partly: bool },
    /// Nothing of it left.
    NotSent,
    /// The peer may have it, or a part.
    InDoubt,
}

/// Sends a text: each part once the one before is taken, so that they arrive in order and none in vain. `receipt`: of the last
/// part, which stands for the whole.
pub async fn send(link: &Handle, parts: &[Part], from: &Addr, to: &Addr, receipt: bool) -> Sent {
    let mut message_id = None;
    for (n, part) in parts.iter().enumerate() {
        let (partly, last) = (n > 0, n + 1 == parts.len());
        let pdu = part.submit(from, to, receipt && last);
        let mut tries = 1;
        loop {
            let answer = match link.submit(pdu.clone()).await {
                Outcome::Answered(answer) => answer,
                Outcome::NotSent if !partly => return Sent::NotSent,
                Outcome::NotSent | Outcome::InDoubt => return Sent::InDoubt,
            };
            let Answer {
                status,
                message_id: id,
            } = answer;
            if status == CommandStatus::EsmeRok {
                message_id = id;
                break;
            }
            // The first is its sender's to send again: nothing has left.
            if !partly || tries == TRIES || status::meaning(status).kind.retry().is_none() {
                return Sent::Refused { status, partly };
            }
            tries += 1;
        }
    }
    Sent::Taken { message_id }
}
