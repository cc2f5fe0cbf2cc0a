//! More of the handle: numbers, carriers, parts, manners, and waiting for an end.

use crate::{
    AccountOptions, Event, Manners, NewParts, OpError, PhoneLine, Rate, ReceiptStatus, ReceivedText, Record,
    SentText, Sim, WaitError, book::Book,
};
use std::time::Duration;

impl Sim {
    /// A generic account's phone sends a long text as parts, each a post of its own.
    pub fn text_in_parts(&self, from: &str, to: &str, parts: &NewParts) -> Result<Vec<SentText>, OpError> {
        let now_ms = self.shared.now_ms();
        let (sent, idle) = self.shared.book().send_parts(from, to, parts, now_ms)?;
        for text in &sent {
            self.shared.tell(Event::Sent(text.clone()));
        }
        if idle {
            self.shared.start_lane((from.to_owned(), to.to_owned()));
        }
        Ok(sent)
    }

    /// Behaves so from now on, and counts texts anew: the same manners later decide the same.
    pub fn set_manners(&self, manners: Manners) -> Result<(), OpError> {
        manners.check()?;
        let mut book = self.shared.book();
        book.pairs.clear();
        book.manners = Some(manners);
        Ok(())
    }

    pub fn clear_manners(&self) {
        self.shared.book().manners = None;
    }

    pub fn manners(&self) -> Option<Manners> {
        self.shared.book().manners.clone()
    }

    pub fn set_options(&self, account: &str, options: AccountOptions) -> Result<(), OpError> {
        self.shared.book().set_options(account, options)
    }

    pub fn options(&self, account: &str) -> AccountOptions {
        self.shared.book().options_of(account)
    }

    /// How fast a number may send; none: as fast as it can.
    pub fn set_rate(&self, number: &str, rate: Option<Rate>) -> Result<(), OpError> {
        let now_ns = self.shared.now_ns();
        self.shared.book().set_rate(number, rate, now_ns)
    }

    pub fn rate(&self, number: &str) -> Option<Rate> {
        self.shared.book().rates.get(number).map(|bucket| bucket.rate)
    }

    /// The carrier lets nothing through from a number to a phone, or again everything.
    pub fn set_opt_out(&self, number: &str, phone: &str, out: bool) -> Result<(), OpError> {
        let mut book = self.shared.book();
        if !book.numbers.contains_key(number) {
            return Err(OpError::NumberWithoutAccount);
        }
        let pair = (number.to_owned(), phone.to_owned());
        match out {
            true => book.opt_outs.insert(pair),
            false => book.opt_outs.remove(&pair),
        };
        Ok(())
    }

    /// The phones that are opted out of a number.
    pub fn opt_outs(&self, number: &str) -> Vec<String> {
        let book = self.shared.book();
        let of = |(owner, phone): &(String, String)| (owner == number).then(|| phone.clone());
        book.opt_outs.iter().filter_map(of).collect()
    }

    /// What Twilio's Lookup says about a phone from now on.
    pub fn set_line(&self, phone: &str, line: PhoneLine) {
        self.shared.book().lines.insert(phone.to_owned(), line);
    }

    /// At most `limit` texts, both ways together, whose `seq` is more than `since`; [`Record::next`] says where the next page
    /// begins.
    pub fn record_since(&self, since: u64, limit: usize) -> Record {
        self.shared.book().record(since, limit)
    }

    /// A text that a phone received, as it is now.
    pub fn received(&self, seq: u64) -> Result<ReceivedText, OpError> {
        let text = self.shared.book().received(seq).cloned();
        text.ok_or(OpError::NoSuchText(seq))
    }

    /// Waits until a text that a phone received has this status at the provider.
    pub async fn wait_status(
        &self,
        seq: u64,
        status: ReceiptStatus,
        limit: Duration,
    ) -> Result<ReceivedText, WaitError> {
        let reached = |book: &Book| match book.received(seq) {
            Some(text) if text.status == status => Ok(text.clone()),
            Some(text) => Err(format!("{:?}", text.status)),
            None => Err("there is no such text".to_owned()),
        };
        self.shared.until(limit, reached).await
    }

    /// Waits until nothing is on its way to a webhook any more: no text, no copy, no receipt.
    pub async fn wait_quiet(&self, limit: Duration) -> Result<(), WaitError> {
        let quiet = |book: &Book| match (book.lanes.busy(), book.receipts_open) {
            (0, 0) => Ok(()),
            (lanes, receipts) => Err(format!(
                "texts wait in {lanes} lanes, and receipts of {receipts} texts"
            )),
        };
        self.shared.until(limit, quiet).await
    }
}
