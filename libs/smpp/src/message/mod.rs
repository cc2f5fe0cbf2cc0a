//! Texts and receipts in PDUs: [`split`] and [`Part::submit`] make what a text is sent as, [`read`] says what came.

mod address;
mod ids;
mod read;
mod receipt;
mod write;

pub use address::{Addr, Numbering};
pub use ids::MessageIds;
pub use read::{Content, Received, Segment, Unreadable, read};
pub use receipt::{Receipt, state_name};
pub use rusmpp::values::MessageState;
pub use write::{Part, TooLong, split};

use crate::coding::{DefaultAlphabet, Encoding, Ia5};

/// How a message centre wants its texts, and sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    pub default_alphabet: DefaultAlphabet,
    pub ia5: Ia5,
    pub encoding: Encoding,
    pub concatenation: Concatenation,
}

/// How the parts of a long text say that they belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Concatenation {
    /// A user data header with a reference of 8 bits (TS 23.040 section 9.2.3.24.1).
    #[default]
    Udh8,
    /// One of 16 bits.
    Udh16,
    /// `sar_msg_ref_num`, `sar_total_segments`, `sar_segment_seqnum` (SMPP 3.4 sections 5.3.2.22 to 5.3.2.24).
    Sar,
    /// It is one: all of it stands in `message_payload` (section 5.3.2.32).
    Payload,
}

#[cfg(test)]
mod tests;
