//! What each `command_status` means for a text (SMPP 3.4 section 5.1.3 and table 5-2; 5.0 section 4.7.6 for those from 0x100 on).

use rusmpp::CommandStatus;
use std::time::Duration;

/// What is to be done about a request that was answered so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The peer has it.
    Taken,
    /// It passes by itself.
    Passing,
    /// The peer has had enough for now.
    Slower,
    /// The account is at fault, not the text: it goes out once an operator has mended that.
    Account,
    /// The customer's address cannot be texted.
    Number,
    /// The network does not let this text through.
    Blocked,
    /// This text will not be taken as it is.
    Text,
}

impl Kind {
    /// Whether the same request may be taken later, and the least time until then.
    pub fn retry(self) -> Option<Duration> {
        match self {
            Self::Taken | Self::Number | Self::Blocked | Self::Text => None,
            Self::Passing => Some(Duration::ZERO),
            Self::Slower => Some(Duration::from_secs(1)),
            Self::Account => Some(Duration::from_secs(60)),
        }
    }

    /// For whoever wrote the text.
    pub fn user(self) -> &'static str {
        match self {
            Self::Taken => "The text was sent.",
            Self::Passing | Self::Slower | Self::Account => "The text is not sent yet; it is tried again.",
            Self::Number => "The text could not be sent: this number cannot receive texts.",
            Self::Blocked => "The text could not be sent: the mobile network does not let it through.",
            Self::Text => "The text could not be sent.",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    pub code: u32,
    /// As the specification has it.
    pub name: &'static str,
    pub kind: Kind,
    /// For the operator: what happened, and what to do about it.
    pub operator: &'static str,
}

/// What a status means. Those of a vendor (0x400 to 0x4ff), and ones that nobody knows, end the text: an operator sees it and can
/// replay it, and the texts behind it go on.
pub fn meaning(status: CommandStatus) -> Meaning {
    let code = u32::from(status);
    match TABLE.binary_search_by_key(&code, |row| row.code) {
        Ok(at) => TABLE[at],
        Err(_) => Meaning {
            code,
            name: match code {
                0x400..=0x4ff => "vendor's",
                _ => "reserved",
            },
            kind: Kind::Text,
            operator: match code {
                0x400..=0x4ff => {
                    "a status of this message centre's own; its documentation says what it means, then replay the text or discard it"
                }
                _ => {
                    "a status that SMPP does not define; ask the message centre's operator, then replay the text or discard it"
                }
            },
        },
    }
}

/// The specification's name of a status, for logs and errors.
pub fn name(status: CommandStatus) -> String {
    let Meaning { name, code, .. } = meaning(status);
    if name.starts_with("ESME") {
        name.to_owned()
    } else {
        format!("{name} {code:#010x}")
    }
}

/// Whether it asks for fewer requests.
pub fn is_complaint(status: CommandStatus) -> bool {
    meaning(status).kind == Kind::Slower
}

const fn row(code: u32, name: &'static str, kind: Kind, operator: &'static str) -> Meaning {
    Meaning {
        code,
        name,
        kind,
        operator,
    }
}

/// Sorted by code.
#[rustfmt::skip]
const TABLE: &[Meaning] = &[
    row(0x000, "ESME_ROK", Kind::Taken, "no error"),
    row(0x001, "ESME_RINVMSGLEN", Kind::Text, "the message centre finds the text too long; set the account's concatenation to one that it takes"),
    row(0x002, "ESME_RINVCMDLEN", Kind::Text, "the message centre cannot read the PDU; compare the account's version and concatenation with what it asks for"),
    row(0x003, "ESME_RINVCMDID", Kind::Account, "the message centre does not know submit_sm on this bind; check the account's bind kind"),
    row(0x004, "ESME_RINVBNDSTS", Kind::Account, "the bind may not send; set the account's bind kind to transceiver or transmitter"),
    row(0x005, "ESME_RALYBND", Kind::Account, "the account is bound already, by another program or as often as it may; lower its binds or end the other program"),
    row(0x006, "ESME_RINVPRTFLG", Kind::Text, "the message centre does not take priority 0"),
    row(0x007, "ESME_RINVREGDLVFLG", Kind::Account, "the message centre does not let this account ask for receipts; switch receipts off, or have them enabled"),
    row(0x008, "ESME_RSYSERR", Kind::Passing, "the message centre failed inside; ask its operator if it stays"),
    row(0x00a, "ESME_RINVSRCADR", Kind::Text, "the sending number is not one of this account's; check the tenant's number and the account's source TON and NPI"),
    row(0x00b, "ESME_RINVDSTADR", Kind::Number, "the customer's number is not valid for this message centre; if it is, check the account's destination TON and NPI"),
    row(0x00c, "ESME_RINVMSGID", Kind::Text, "the message centre does not know the message's id"),
    row(0x00d, "ESME_RBINDFAIL", Kind::Account, "the bind failed; check system_id, password, system_type and whether this address may connect"),
    row(0x00e, "ESME_RINVPASWD", Kind::Account, "the password is refused; check it in the account's secret"),
    row(0x00f, "ESME_RINVSYSID", Kind::Account, "the system_id is refused; check it in the account's settings"),
    row(0x011, "ESME_RCANCELFAIL", Kind::Text, "cancel_sm failed"),
    row(0x013, "ESME_RREPLACEFAIL", Kind::Text, "replace_sm failed"),
    row(0x014, "ESME_RMSGQFUL", Kind::Slower, "the message centre's queue is full; lower the account's rate if it stays"),
    row(0x015, "ESME_RINVSERTYP", Kind::Account, "the message centre wants a service_type; ask its operator which"),
    row(0x033, "ESME_RINVNUMDESTS", Kind::Text, "the number of destinations is wrong (submit_multi)"),
    row(0x034, "ESME_RINVDLNAME", Kind::Text, "the distribution list's name is wrong (submit_multi)"),
    row(0x040, "ESME_RINVDESTFLAG", Kind::Text, "the destination flag is wrong (submit_multi)"),
    row(0x042, "ESME_RINVSUBREP", Kind::Text, "the message centre does not replace messages"),
    row(0x043, "ESME_RINVESMCLASS", Kind::Account, "the message centre does not take the esm_class; set the account's concatenation to sar or payload"),
    row(0x044, "ESME_RCNTSUBDL", Kind::Text, "the message centre does not take distribution lists"),
    row(0x045, "ESME_RSUBMITFAIL", Kind::Blocked, "the message centre refuses the text and says no more; ask its operator"),
    row(0x048, "ESME_RINVSRCTON", Kind::Account, "the sending number's TON is refused; set the account's source TON"),
    row(0x049, "ESME_RINVSRCNPI", Kind::Account, "the sending number's NPI is refused; set the account's source NPI"),
    row(0x050, "ESME_RINVDSTTON", Kind::Account, "the customer's number's TON is refused; set the account's destination TON"),
    row(0x051, "ESME_RINVDSTNPI", Kind::Account, "the customer's number's NPI is refused; set the account's destination NPI"),
    row(0x053, "ESME_RINVSYSTYP", Kind::Account, "the system_type is refused; check it in the account's settings"),
    row(0x054, "ESME_RINVREPFLAG", Kind::Text, "the replace_if_present flag is refused"),
    row(0x055, "ESME_RINVNUMMSGS", Kind::Text, "the number of messages is wrong"),
    row(0x058, "ESME_RTHROTTLED", Kind::Slower, "more texts than the message centre allows; lower the account's rate if it stays"),
    row(0x061, "ESME_RINVSCHED", Kind::Text, "the scheduled time is refused"),
    row(0x062, "ESME_RINVEXPIRY", Kind::Text, "the validity period is refused"),
    row(0x063, "ESME_RINVDFTMSGID", Kind::Text, "the canned message's id is refused"),
    row(0x064, "ESME_RX_T_APPN", Kind::Passing, "the receiver has a passing fault"),
    row(0x065, "ESME_RX_P_APPN", Kind::Blocked, "the receiver takes nothing for this number"),
    row(0x066, "ESME_RX_R_APPN", Kind::Text, "the receiver refuses this text"),
    row(0x067, "ESME_RQUERYFAIL", Kind::Text, "query_sm failed"),
    row(0x0c0, "ESME_RINVOPTPARSTREAM", Kind::Text, "the message centre cannot read the optional parameters; set the account's concatenation to udh"),
    row(0x0c1, "ESME_ROPTPARNOTALLWD", Kind::Account, "the message centre does not allow an optional parameter; set the account's concatenation to udh"),
    row(0x0c2, "ESME_RINVPARLEN", Kind::Text, "an optional parameter's length is refused"),
    row(0x0c3, "ESME_RMISSINGOPTPARAM", Kind::Account, "the message centre wants an optional parameter; ask its operator which"),
    row(0x0c4, "ESME_RINVOPTPARAMVAL", Kind::Text, "an optional parameter's value is refused"),
    row(0x0fe, "ESME_RDELIVERYFAILURE", Kind::Blocked, "the text was tried at once and not delivered"),
    row(0x0ff, "ESME_RUNKNOWNERR", Kind::Passing, "an error that the message centre does not name; ask its operator if it stays"),
    row(0x100, "ESME_RSERTYPUNAUTH", Kind::Account, "the account may not use this service_type"),
    row(0x101, "ESME_RPROHIBITED", Kind::Account, "the account may not send; ask the message centre's operator"),
    row(0x102, "ESME_RSERTYPUNAVAIL", Kind::Passing, "the service is not available at the moment"),
    row(0x103, "ESME_RSERTYPDENIED", Kind::Blocked, "the service refuses this text's content"),
    row(0x104, "ESME_RINVDCS", Kind::Account, "the data_coding is refused; set the account's encoding"),
    row(0x105, "ESME_RINVSRCADDRSUBUNIT", Kind::Text, "the sender's subunit is refused"),
    row(0x106, "ESME_RINVDSTADDRSUBUNIT", Kind::Text, "the receiver's subunit is refused"),
    row(0x107, "ESME_RINVBCASTFREQINT", Kind::Text, "a broadcast's interval is refused"),
    row(0x108, "ESME_RINVBCASTALIAS_NAME", Kind::Text, "a broadcast's alias is refused"),
    row(0x109, "ESME_RINVBCASTAREAFMT", Kind::Text, "a broadcast's area is refused"),
    row(0x10a, "ESME_RINVNUMBCAST_AREAS", Kind::Text, "a broadcast's number of areas is refused"),
    row(0x10b, "ESME_RINVBCASTCNTTYPE", Kind::Text, "a broadcast's content type is refused"),
    row(0x10c, "ESME_RINVBCASTMSGCLASS", Kind::Text, "a broadcast's class is refused"),
    row(0x10d, "ESME_RBCASTFAIL", Kind::Text, "a broadcast failed"),
    row(0x10e, "ESME_RBCASTQUERYFAIL", Kind::Text, "a broadcast's query failed"),
    row(0x10f, "ESME_RBCASTCANCELFAIL", Kind::Text, "a broadcast's cancellation failed"),
    row(0x110, "ESME_RINVBCAST_REP", Kind::Text, "a broadcast's repetition is refused"),
    row(0x111, "ESME_RINVBCASTSRVGRP", Kind::Text, "a broadcast's service group is refused"),
    row(0x112, "ESME_RINVBCASTCHANIND", Kind::Text, "a broadcast's channel is refused"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// SMPP 3.4 table 5-2, all of it: what is neither reserved nor a vendor's.
    const V34: &[u32] = &[
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x11, 0x13,
        0x14, 0x15, 0x33, 0x34, 0x40, 0x42, 0x43, 0x44, 0x45, 0x48, 0x49, 0x50, 0x51, 0x53, 0x54, 0x55, 0x58,
        0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xfe, 0xff,
    ];

    #[test]
    fn the_table_is_sorted_and_whole() {
        assert!(TABLE.is_sorted_by(|a, b| a.code < b.code));
        let codes: Vec<u32> = TABLE.iter().map(|row| row.code).collect();
        let expected: Vec<u32> = V34.iter().copied().chain(0x100..=0x112).collect();
        assert_eq!(codes, expected);
        for row in TABLE {
            assert!(
                row.name.starts_with("ESME_R") && row.operator.len() > 7,
                "{row:?}"
            );
            assert!(
                !matches!(CommandStatus::from(row.code), CommandStatus::Other(_)),
                "{row:?}"
            );
        }
    }

    #[test]
    fn statuses_are_classed() {
        for (code, kind) in [
            (0x00, Kind::Taken),
            (0x08, Kind::Passing),
            (0x0b, Kind::Number),
            (0x0d, Kind::Account),
            (0x14, Kind::Slower),
            (0x45, Kind::Blocked),
            (0x58, Kind::Slower),
            (0x104, Kind::Account),
            (0x400, Kind::Text),
            (0x4ff, Kind::Text),
            (0x09, Kind::Text),
            (u32::MAX, Kind::Text),
        ] {
            assert_eq!(meaning(code.into()).kind, kind, "{code:#x}");
        }
        assert!(is_complaint(CommandStatus::EsmeRthrottled) && is_complaint(CommandStatus::EsmeRmsgqful));
        assert!(!is_complaint(CommandStatus::EsmeRsyserr));
        assert_eq!(name(CommandStatus::EsmeRinvdcs), "ESME_RINVDCS");
        assert_eq!(name(CommandStatus::Other(0x42a)), "vendor's 0x0000042a");
    }

    #[test]
    fn what_will_not_be_taken_is_not_tried_again() {
        for row in TABLE {
            let again = row.kind.retry().is_some();
            assert_eq!(again, row.kind.user().ends_with("tried again."), "{row:?}");
        }
    }
}
