//! From <https://sms.acme.example/docs/errors>.

use crate::{
    failure::{Dialect, Known, account, last, opted_out, passing},
    outbound::user,
};

pub const ACME: Dialect = Dialect {
    name: "Acme",
    docs: "https://sms.acme.example/docs/errors#{}",
    table: TABLE,
};

const TABLE: &[Known] = &[
    passing(
        "busy",
        "too many texts at once; lower the rates of the numbers if it stays",
    ),
    account("no-credit", "the project has no credit; top it up"),
    last("bad-number", user::NUMBER, "the customer's number is not valid"),
    opted_out("stopped", "the customer has opted out of this number"),
];
