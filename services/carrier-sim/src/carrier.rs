//! What a carrier decides about numbers: limits, opt-outs, kinds of lines; and what is to go wrong with a send.

use crate::{
    Fault, Kind, OpError, Rate,
    book::{Book, Submission},
    fault::Target,
    limits::Bucket,
    manners::Room,
    segments::segments,
};
use serde::{Deserialize, Serialize};

/// What an account's numbers do besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountOptions {
    /// A phone's STOP opts it out at the carrier, its START in again. The text is posted all the same; a carrier's own
    /// answer to it is not played.
    pub carrier_handles_stop: bool,
    /// Delivery receipts are posted: Twilio's where a text asks for them, generic ones always.
    pub receipts: bool,
}

impl Default for AccountOptions {
    fn default() -> Self {
        Self {
            carrier_handles_stop: false,
            receipts: true,
        }
    }
}

/// Twilio's words (<https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out>).
const STOP: [&str; 8] = [
    "STOP",
    "UNSUBSCRIBE",
    "END",
    "QUIT",
    "STOPALL",
    "REVOKE",
    "OPTOUT",
    "CANCEL",
];
const START: [&str; 3] = ["START", "YES", "UNSTOP"];

/// What Twilio's Lookup says about a phone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhoneLine {
    #[serde(rename = "type")]
    pub line_type: LineType,
    pub carrier_name: Option<String>,
    /// Then there is no type: 60600 and the like.
    pub error_code: Option<u32>,
    /// A number that cannot be anybody's.
    pub invalid: bool,
}

/// <https://www.twilio.com/docs/lookup/v2-api/line-type-intelligence>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LineType {
    Landline,
    #[default]
    Mobile,
    FixedVoip,
    NonFixedVoip,
    Personal,
    TollFree,
    Premium,
    SharedCost,
    Uan,
    Voicemail,
    Pager,
    Unknown,
}

/// What becomes of a send that is in order.
#[derive(Debug, PartialEq)]
pub(crate) enum Fate {
    Taken,
    Fault(Fault),
    /// Above the number's limit; it fits in so many seconds.
    TooFast(u32),
}

impl Book {
    pub fn set_options(&mut self, account: &str, options: AccountOptions) -> Result<(), OpError> {
        if !self.accounts.contains_key(account) {
            return Err(OpError::NoSuchAccount(account.to_owned()));
        }
        self.options.insert(account.to_owned(), options);
        Ok(())
    }

    pub fn options_of(&self, account: &str) -> AccountOptions {
        self.options.get(account).copied().unwrap_or_default()
    }

    pub fn set_rate(&mut self, number: &str, rate: Option<Rate>, now_ns: u64) -> Result<(), OpError> {
        if !self.numbers.contains_key(number) {
            return Err(OpError::NumberWithoutAccount);
        }
        let Some(rate) = rate else {
            self.rates.remove(number);
            return Ok(());
        };
        if !rate.is_sound() {
            return Err(OpError::Invalid {
                field: "segments_per_second",
                remedy: "and burst must be more than 0",
            });
        }
        self.rates.insert(number.to_owned(), Bucket::new(rate, now_ns));
        Ok(())
    }

    pub fn opted_out(&self, number: &str, phone: &str) -> bool {
        self.opt_outs.contains(&(number.to_owned(), phone.to_owned()))
    }

    /// A phone says STOP or START.
    pub fn heed_keyword(&mut self, phone: &str, number: &str, text: &str) {
        let account = self.numbers.get(number);
        if !account.is_some_and(|account| self.options_of(account).carrier_handles_stop) {
            return;
        }
        let word = text.trim().to_uppercase();
        let pair = (number.to_owned(), phone.to_owned());
        if STOP.contains(&word.as_str()) {
            self.opt_outs.insert(pair);
        } else if START.contains(&word.as_str()) {
            self.opt_outs.remove(&pair);
        }
    }

    /// Orders go before manners.
    pub fn fate(&mut self, new: &Submission, now_ns: u64) -> Fate {
        self.stats.traffic.sends += 1;
        let pair = self.pairs.entry((new.from.clone(), new.to.clone())).or_default();
        let nth = pair.sends;
        pair.sends += 1;
        if let Some(bucket) = self.rates.get_mut(&new.from)
            && let Err(wait_s) = bucket.take(segments(&new.text), now_ns)
        {
            self.stats.too_fast(&new.from);
            return Fate::TooFast(wait_s);
        }
        if let Some(fault) = self.faults.next(Target::Send, &new.account) {
            return Fate::Fault(fault);
        }
        let drawn = self
            .manners
            .as_ref()
            .and_then(|manners| manners.fate(manners.dice(Room::Send, &new.from, &new.to, nth)));
        match drawn {
            Some((name, fault)) => {
                self.stats.manner(name);
                Fate::Fault(fault)
            }
            None => Fate::Taken,
        }
    }

    pub fn kind_of(&self, account: &str) -> Option<Kind> {
        self.accounts.get(account).map(|account| account.kind)
    }
}
