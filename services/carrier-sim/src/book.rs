//! What the provider knows: accounts, numbers, and every text. No IO.

use crate::{
    Account, Event, Kind, OpError, PhoneText, ReceivedText, Record, SentState, SentText, fault::Faults,
    stats::Stats,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::{BTreeMap, HashMap, VecDeque};

pub(crate) struct Book {
    pub accounts: BTreeMap<String, Account>,
    /// Sending number to account.
    pub numbers: BTreeMap<String, String>,
    pub faults: Faults,
    pub stats: Stats,
    texts: BTreeMap<u64, PhoneText>,
    /// Phone to its texts.
    phones: HashMap<String, Vec<u64>>,
    /// Account and idempotency key to the text.
    keys: HashMap<(String, String), u64>,
    /// Texts on their way to a webhook, by phone and number: one after the other.
    lanes: HashMap<Lane, VecDeque<u64>>,
    next_seq: u64,
    rng: StdRng,
}

/// Texts of one phone to one number.
pub(crate) type Lane = (String, String);

/// A text that an account submits.
#[derive(Clone)]
pub(crate) struct Submission {
    pub account: String,
    pub from: String,
    pub to: String,
    pub text: String,
    pub idempotency_key: Option<String>,
    pub attempt: Option<u32>,
}

/// What became of a submission.
#[derive(Debug)]
pub(crate) enum Taken {
    New(ReceivedText),
    /// The key was seen with this text.
    Again(ReceivedText),
    /// The key was seen with another text.
    KeyReused,
}

impl Book {
    pub fn new(seed: u64) -> Self {
        Self {
            accounts: BTreeMap::new(),
            numbers: BTreeMap::new(),
            faults: Faults::default(),
            stats: Stats::default(),
            texts: BTreeMap::new(),
            phones: HashMap::new(),
            keys: HashMap::new(),
            lanes: HashMap::new(),
            next_seq: 1,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    pub fn set_account(&mut self, account: Account) -> Result<(), OpError> {
        let invalid = |field, remedy| Err(OpError::Invalid { field, remedy });
        let plain = account
            .name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if account.name.is_empty() || !plain {
            return invalid(
                "name",
                "must be letters, digits and -_. only: it is part of an address",
            );
        }
        if account.kind == Kind::Twilio && !(account.name.len() == 34 && account.name.starts_with("AC")) {
            return invalid(
                "name",
                "must be an account SID for Twilio: AC and 32 letters and digits",
            );
        }
        if account.secret.is_empty() {
            return invalid("secret", "is empty");
        }
        if account
            .webhook_url
            .as_ref()
            .is_some_and(|url| url::Url::parse(url).is_err())
        {
            return invalid(
                "webhook_url",
                "must be an address like http://127.0.0.1:8080/hooks/1",
            );
        }
        self.accounts.insert(account.name.clone(), account);
        Ok(())
    }

    pub fn set_number(&mut self, number: String, account: &str) -> Result<(), OpError> {
        if !self.accounts.contains_key(account) {
            return Err(OpError::NoSuchAccount(account.to_owned()));
        }
        self.numbers.insert(number, account.to_owned());
        Ok(())
    }

    /// A phone sends a text. Returns it, and whether its lane was idle: then somebody has to start on it.
    pub fn send(
        &mut self,
        from: &str,
        to: &str,
        text: &str,
        id: Option<String>,
        at_ms: u64,
    ) -> Result<(SentText, bool), OpError> {
        if from.is_empty() {
            return Err(OpError::Invalid {
                field: "from",
                remedy: "is empty",
            });
        }
        let account = self.numbers.get(to).ok_or(OpError::NumberWithoutAccount)?.clone();
        let kind = self.accounts[&account].kind;
        let id = id.unwrap_or_else(|| self.id(kind, "mo"));
        let seq = self.seq();
        let sent = SentText {
            seq,
            id,
            account,
            from: from.to_owned(),
            to: to.to_owned(),
            text: text.to_owned(),
            at_ms,
            state: SentState::Waiting,
            accepted_at_ms: None,
            posts: 0,
            last_failure: None,
        };
        self.keep(from, PhoneText::Sent(sent.clone()));
        let lane = self.lanes.entry((from.to_owned(), to.to_owned()));
        let idle = matches!(lane, std::collections::hash_map::Entry::Vacant(_));
        lane.or_default().push_back(seq);
        Ok((sent, idle))
    }

    /// The lane's next text; a lane without one is idle again.
    pub fn next_in(&mut self, lane: &Lane) -> Option<u64> {
        let seq = self.lanes.get_mut(lane)?.pop_front();
        if seq.is_none() {
            self.lanes.remove(lane);
        }
        seq
    }

    /// Changes a sent text, if a reset has not thrown it away.
    pub fn change_sent(&mut self, seq: u64, change: impl FnOnce(&mut SentText)) -> Option<Event> {
        let Some(PhoneText::Sent(text)) = self.texts.get_mut(&seq) else {
            return None;
        };
        change(text);
        Some(Event::Sent(text.clone()))
    }

    pub fn sent(&self, seq: u64) -> Option<&SentText> {
        match self.texts.get(&seq)? {
            PhoneText::Sent(text) => Some(text),
            PhoneText::Received(_) => None,
        }
    }

    /// Takes a submission and gives it to the phone, unless its key says that the phone has it.
    pub fn take(&mut self, new: Submission, now_ns: u64) -> Taken {
        let key = new.idempotency_key.clone().map(|key| (new.account.clone(), key));
        if let Some(seq) = key.as_ref().and_then(|key| self.keys.get(key)) {
            let Some(PhoneText::Received(known)) = self.texts.get_mut(seq) else {
                unreachable!("keys point at received texts")
            };
            if (&known.from, &known.to, &known.text) != (&new.from, &new.to, &new.text) {
                return Taken::KeyReused;
            }
            known.duplicates += 1;
            return Taken::Again(known.clone());
        }
        let kind = self.accounts[&new.account].kind;
        let received = ReceivedText {
            seq: self.seq(),
            id: self.id(kind, "mt"),
            account: new.account,
            from: new.from,
            to: new.to,
            text: new.text,
            at_ms: now_ns / 1_000_000,
            idempotency_key: new.idempotency_key,
            attempt: new.attempt,
            duplicates: 0,
        };
        self.stats.delivered(&received.text, now_ns);
        if let Some(key) = key {
            self.keys.insert(key, received.seq);
        }
        self.keep(&received.to.clone(), PhoneText::Received(received.clone()));
        Taken::New(received)
    }

    pub fn phone(&self, number: &str) -> Vec<PhoneText> {
        self.phones
            .get(number)
            .into_iter()
            .flatten()
            .map(|seq| self.texts[seq].clone())
            .collect()
    }

    pub fn received_by(&self, number: &str) -> Vec<ReceivedText> {
        let received = |text| match text {
            PhoneText::Received(text) => Some(text),
            PhoneText::Sent(_) => None,
        };
        self.phone(number).into_iter().filter_map(received).collect()
    }

    pub fn record(&self) -> Record {
        let mut record = Record::default();
        for text in self.texts.values() {
            match text.clone() {
                PhoneText::Sent(text) => record.sent.push(text),
                PhoneText::Received(text) => record.received.push(text),
            }
        }
        record
    }

    /// Forgets every text and fault, and the figures. What is on its way to a webhook goes no further.
    pub fn reset(&mut self) {
        self.texts.clear();
        self.phones.clear();
        self.keys.clear();
        self.lanes.values_mut().for_each(VecDeque::clear);
        self.faults.clear();
        self.stats = Stats::default();
    }

    fn keep(&mut self, phone: &str, text: PhoneText) {
        self.phones.entry(phone.to_owned()).or_default().push(text.seq());
        self.texts.insert(text.seq(), text);
    }

    fn seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq - 1
    }

    /// Twilio's ids are `SM` and 32 hexadecimal digits.
    pub fn id(&mut self, kind: Kind, way: &str) -> String {
        let random = u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64());
        match kind {
            Kind::Twilio => format!("SM{random:032x}"),
            Kind::Http => format!("{way}-{random:032x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &str = "AC0123456789abcdef0123456789abcdef";

    fn book() -> Book {
        let mut book = Book::new(1);
        for (kind, name) in [(Kind::Twilio, SID), (Kind::Http, "h")] {
            book.set_account(Account {
                kind,
                name: name.into(),
                secret: "s".into(),
                webhook_url: None,
            })
            .unwrap();
        }
        book.set_number("+1".into(), SID).unwrap();
        book.set_number("+2".into(), "h").unwrap();
        book
    }

    fn submission(account: &str, key: Option<&str>, text: &str) -> Submission {
        Submission {
            account: account.into(),
            from: "+1".into(),
            to: "+9".into(),
            text: text.into(),
            idempotency_key: key.map(Into::into),
            attempt: None,
        }
    }

    #[test]
    fn a_key_is_delivered_once_and_without_one_everything_is() {
        let mut book = book();
        assert!(matches!(
            book.take(submission("h", Some("k"), "a"), 0),
            Taken::New(_)
        ));
        assert!(
            matches!(book.take(submission("h", Some("k"), "a"), 0), Taken::Again(t) if t.duplicates == 1)
        );
        assert!(matches!(
            book.take(submission("h", Some("k"), "b"), 0),
            Taken::KeyReused
        ));
        assert!(matches!(book.take(submission(SID, None, "a"), 0), Taken::New(_)));
        assert!(matches!(book.take(submission(SID, None, "a"), 0), Taken::New(t) if t.id.len() == 34));
        assert_eq!(book.received_by("+9").len(), 3);
        assert_eq!(book.stats.view().count, 3);
    }

    #[test]
    fn a_lane_is_started_once_and_kept_in_order() {
        let mut book = book();
        let (a, idle) = book.send("+9", "+1", "a", None, 1).unwrap();
        assert!(idle);
        let (b, idle) = book.send("+9", "+1", "b", Some("own".into()), 2).unwrap();
        assert!(!idle);
        assert!(
            book.send("+9", "+2", "c", None, 3).unwrap().1,
            "another number, another lane"
        );
        let lane = ("+9".to_owned(), "+1".to_owned());
        assert_eq!(
            [book.next_in(&lane), book.next_in(&lane), book.next_in(&lane)],
            [Some(a.seq), Some(b.seq), None]
        );
        assert!(book.send("+9", "+1", "d", None, 4).unwrap().1, "idle again");
        assert_eq!((b.id.as_str(), book.phone("+9").len()), ("own", 4));
        assert_eq!(
            book.send("+9", "+3", "x", None, 5),
            Err(OpError::NumberWithoutAccount)
        );
        book.reset();
        assert_eq!((book.next_in(&lane), book.record()), (None, Record::default()));
    }

    #[test]
    fn an_account_that_cannot_work_is_refused() {
        let mut book = book();
        for (kind, name, secret, url) in [
            (Kind::Twilio, "AC1", "s", None),
            (Kind::Http, "a/b", "s", None),
            (Kind::Http, "", "s", None),
            (Kind::Http, "a", "", None),
            (Kind::Http, "a", "s", Some("nowhere")),
        ] {
            let account = Account {
                kind,
                name: name.into(),
                secret: secret.into(),
                webhook_url: url.map(Into::into),
            };
            assert!(
                matches!(book.set_account(account), Err(OpError::Invalid { .. })),
                "{name:?}"
            );
        }
        assert_eq!(
            book.set_number("+3".into(), "nobody"),
            Err(OpError::NoSuchAccount("nobody".into()))
        );
    }
}
