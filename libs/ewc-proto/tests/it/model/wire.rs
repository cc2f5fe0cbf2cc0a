//! One socket, with the frames under way on it.

use std::collections::VecDeque;

use ccm_ewc_proto::frame::ServerFrame;

#[derive(Default)]
pub struct Wire {
    /// The chat that AACC has on this socket.
    pub chat: Option<u64>,
    pub up: VecDeque<String>,
    pub down: VecDeque<Down>,
    pub black_hole: bool,
    /// AACC has closed it.
    pub closed: Option<Option<u16>>,
    /// Texts whose answer has not come through.
    pub unanswered: u32,
    /// An answer came that belongs to no text of this socket: without ids, every answer after it is taken for the wrong
    /// text. Nothing can be promised for texts sent from then on.
    pub tainted: bool,
}

pub struct Down {
    pub frame: String,
    pub is_answer: bool,
    /// The number of an agent's words.
    pub said: Option<i64>,
}

impl Wire {
    pub fn push(&mut self, frame: &ServerFrame) {
        self.down.push_back(Down {
            frame: frame.encode(),
            is_answer: false,
            said: None,
        });
    }

    /// Answers a text.
    pub fn answer_text(&mut self, frame: &ServerFrame) {
        self.push(frame);
        if let Some(down) = self.down.back_mut() {
            down.is_answer = true;
        }
    }

    /// Words of an agent.
    pub fn say(&mut self, frame: &ServerFrame, said: i64) {
        self.push(frame);
        if let Some(down) = self.down.back_mut() {
            down.said = Some(said);
        }
    }
}
