//! What phones have received.

use ccm_smpp::message::{Content, Received};
use ccm_sms_text::parts::{Added, Parts};
use std::collections::BTreeMap;

/// A text on a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmscText {
    pub from: String,
    pub to: String,
    pub body: String,
    /// Of its parts, in the order in which they came.
    pub ids: Vec<u64>,
}

#[derive(Default)]
pub(super) struct Book {
    last_id: u64,
    whole: Vec<SmscText>,
    open: BTreeMap<Key, Open>,
}

/// Sender, phone, reference and total of a text in parts.
type Key = (String, String, u16, u8);

/// A text of which parts are missing, and the ids of those that are here.
struct Open {
    parts: Parts,
    ids: Vec<u64>,
}

impl Book {
    pub fn whole(&self) -> &[SmscText] {
        &self.whole
    }

    /// Takes a text or a part of one, and gives it an id.
    pub fn take(&mut self, received: &Received) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        let (from, to) = (received.from.text(), received.to.text());
        let Content::Text { piece, segment } = &received.content else {
            return id;
        };
        let Some((segment, fresh)) = segment.and_then(|segment| Some((segment, Parts::new(segment.total)?)))
        else {
            let (body, ids) = (piece.text(), vec![id]);
            self.whole.push(SmscText { from, to, body, ids });
            return id;
        };
        let key: Key = (from, to, segment.reference, segment.total);
        let open = self.open.entry(key.clone()).or_insert_with(|| Open {
            parts: fresh,
            ids: Vec::new(),
        });
        if open.parts.add(segment.number, piece.clone()) == Added::New {
            open.ids.push(id);
        }
        if let Some(body) = open.parts.complete() {
            let ids = std::mem::take(&mut open.ids);
            self.open.remove(&key);
            let (from, to, ..) = key;
            self.whole.push(SmscText { from, to, body, ids });
        }
        id
    }
}
