//! What the provider knows: accounts, numbers, and every text. No IO.

use crate::{
    Account, AccountOptions, Concat, Event, Kind, Manners, OpError, PhoneLine, PhoneText, ReceiptStatus,
    ReceivedText, Record, SentState, SentText,
    fault::Faults,
    lanes::{Item, Lanes},
    limits::Bucket,
    stats::Stats,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
};

pub(crate) struct Book {
    pub accounts: BTreeMap<String, Account>,
    pub options: BTreeMap<String, AccountOptions>,
    /// Sending number to account.
    pub numbers: BTreeMap<String, String>,
    /// Sending number to its limit.
    pub rates: HashMap<String, Bucket>,
    /// Sending number and the phone that wants nothing from it.
    pub opt_outs: BTreeSet<(String, String)>,
    /// What kind of phones there are; mobile ones if nothing is said.
    pub lines: HashMap<String, PhoneLine>,
    pub faults: Faults,
    pub manners: Option<Manners>,
    pub stats: Stats,
    pub lanes: Lanes,
    /// Texts whose receipts are not all settled.
    pub receipts_open: usize,
    /// From and to: what was counted between them.
    pub pairs: HashMap<(String, String), Pair>,
    texts: BTreeMap<u64, PhoneText>,
    /// Phone to its texts.
    phones: HashMap<String, Vec<u64>>,
    /// Account and idempotency key to the text.
    keys: HashMap<(String, String), u64>,
    next_seq: u64,
    rng: StdRng,
}

/// What happened between two numbers, counted since the last reset or new manners: decisions by seed go by it.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    /// Sends, refused ones included.
    pub sends: u64,
    /// Texts that the phone got.
    pub taken: u64,
    /// Texts that the phone sent.
    pub sent: u64,
}

/// A text that an account submits.
#[derive(Clone)]
pub(crate) struct Submission {
    pub account: String,
    pub from: String,
    pub to: String,
    pub text: String,
    pub idempotency_key: Option<String>,
    pub attempt: Option<u32>,
    pub status_callback: Option<String>,
    pub messaging_service_sid: Option<String>,
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
            options: BTreeMap::new(),
            numbers: BTreeMap::new(),
            rates: HashMap::new(),
            opt_outs: BTreeSet::new(),
            lines: HashMap::new(),
            faults: Faults::default(),
            manners: None,
            stats: Stats::default(),
            lanes: Lanes::default(),
            receipts_open: 0,
            pairs: HashMap::new(),
            texts: BTreeMap::new(),
            phones: HashMap::new(),
            keys: HashMap::new(),
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
        self.owner_of(from, to)?;
        self.heed_keyword(from, to, text);
        let sent = self.write(from, to, text, id, at_ms, None);
        let nth = self.count_sent(from, to);
        let item = Item {
            seq: sent.seq,
            nth,
            pause_ms: 0,
            copy: false,
        };
        let idle = self.lanes.add(&(from.to_owned(), to.to_owned()), item);
        Ok((sent, idle))
    }

    pub fn owner_of(&self, from: &str, to: &str) -> Result<&Account, OpError> {
        if from.is_empty() {
            return Err(OpError::Invalid {
                field: "from",
                remedy: "is empty",
            });
        }
        let account = self.numbers.get(to).ok_or(OpError::NumberWithoutAccount)?;
        Ok(&self.accounts[account])
    }

    /// A text is on the phone; nothing is posted yet.
    pub fn write(
        &mut self,
        from: &str,
        to: &str,
        text: &str,
        id: Option<String>,
        at_ms: u64,
        concat: Option<Concat>,
    ) -> SentText {
        let account = self.numbers[to].clone();
        let id = id.unwrap_or_else(|| self.id(self.accounts[&account].kind, "mo"));
        let sent = SentText {
            seq: self.seq(),
            id,
            account,
            from: from.to_owned(),
            to: to.to_owned(),
            text: text.to_owned(),
            at_ms,
            state: SentState::Waiting,
            accepted_at_ms: None,
            posts: 0,
            copies: 0,
            new_ids: Vec::new(),
            wrong_signatures: 0,
            concat,
            last_failure: None,
        };
        self.keep(from, PhoneText::Sent(sent.clone()));
        sent
    }

    /// The how many-th text it is, from 0.
    pub fn count_sent(&mut self, from: &str, to: &str) -> u64 {
        let pair = self.pairs.entry((from.to_owned(), to.to_owned())).or_default();
        pair.sent += 1;
        pair.sent - 1
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

    pub fn received(&self, seq: u64) -> Option<&ReceivedText> {
        match self.texts.get(&seq)? {
            PhoneText::Received(text) => Some(text),
            PhoneText::Sent(_) => None,
        }
    }

    pub fn received_mut(&mut self, seq: u64) -> Option<&mut ReceivedText> {
        match self.texts.get_mut(&seq)? {
            PhoneText::Received(text) => Some(text),
            PhoneText::Sent(_) => None,
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
            self.stats.traffic.taken_again += 1;
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
            status: ReceiptStatus::Queued,
            error_code: None,
            sent_at_ms: None,
            receipts: Vec::new(),
            status_callback: new.status_callback,
            messaging_service_sid: new.messaging_service_sid,
        };
        self.stats.traffic.taken += 1;
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

    /// Newest first; those of one phone where it is known as such.
    pub fn newest(&self, phone: Option<&str>) -> Box<dyn Iterator<Item = &PhoneText> + '_> {
        match phone.and_then(|phone| self.phones.get(phone)) {
            Some(seqs) => Box::new(seqs.iter().rev().map(|seq| &self.texts[seq])),
            None => Box::new(self.texts.values().rev()),
        }
    }

    /// At most so many texts after one.
    pub fn record(&self, since: u64, limit: usize) -> Record {
        let mut record = Record::default();
        let mut after = self.texts.range((Bound::Excluded(since), Bound::Unbounded));
        let mut last = since;
        for (seq, text) in after.by_ref().take(limit) {
            last = *seq;
            match text.clone() {
                PhoneText::Sent(text) => record.sent.push(text),
                PhoneText::Received(text) => record.received.push(text),
            }
        }
        record.next = after.next().map(|_| last);
        record
    }

    /// Forgets every text, fault and opt-out, the manners and the figures. What is on its way to a webhook goes no further.
    pub fn reset(&mut self) {
        self.texts.clear();
        self.phones.clear();
        self.keys.clear();
        self.lanes.clear();
        self.pairs.clear();
        self.opt_outs.clear();
        self.faults.clear();
        self.manners = None;
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
            Kind::Vonage => format!("{:016X}", random >> 64),
            Kind::Telnyx | Kind::Plivo => {
                let hex = format!("{random:032x}");
                let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
                parts.join("-")
            }
            Kind::Http | Kind::Bandwidth | Kind::Infobip | Kind::Custom => format!("{way}-{random:032x}"),
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
            status_callback: None,
            messaging_service_sid: None,
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
    fn a_text_waits_in_its_lane_and_a_reset_forgets_it() {
        let mut book = book();
        let (a, idle) = book.send("+9", "+1", "a", None, 1).unwrap();
        assert!(idle);
        let (b, idle) = book.send("+9", "+1", "b", Some("own".into()), 2).unwrap();
        assert!(!idle);
        let lane = ("+9".to_owned(), "+1".to_owned());
        let next = book.lanes.next(&lane).unwrap();
        assert_eq!((next.seq, next.nth), (a.seq, 0));
        assert_eq!((b.id.as_str(), book.phone("+9").len()), ("own", 2));
        assert_eq!(
            book.send("+9", "+3", "x", None, 5),
            Err(OpError::NumberWithoutAccount)
        );
        book.reset();
        assert_eq!(
            (book.lanes.next(&lane), book.record(0, 9)),
            (None, Record::default())
        );
    }

    #[test]
    fn the_record_has_pages() {
        let mut book = book();
        for n in 0..3 {
            book.send("+9", "+1", "a", None, n).unwrap();
            book.take(submission(SID, None, "a"), 0);
        }
        let page = book.record(0, 4);
        assert_eq!((page.sent.len(), page.received.len(), page.next), (2, 2, Some(4)));
        let page = book.record(4, 4);
        assert_eq!((page.sent[0].seq, page.received[0].seq, page.next), (5, 6, None));
        assert_eq!(book.record(6, 4), Record::default());
        assert_eq!(book.record(0, 6).next, None);
        let newest: Vec<u64> = book.newest(Some("+9")).map(PhoneText::seq).collect();
        assert_eq!(newest, [6, 5, 4, 3, 2, 1]);
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
