//! What Bandwidth's API answers a text with (`type`), from <https://dev.bandwidth.com/docs/messaging/errors>. The codes of four digits
//! come in receipts alone, and are kept as they are.

use crate::{
    failure::{Dialect, Known, account, last, passing},
    outbound::user,
};

pub const BANDWIDTH: Dialect = Dialect {
    name: "Bandwidth",
    docs: "https://dev.bandwidth.com/docs/messaging/errors",
    table: TABLE,
};

const TABLE: &[Known] = &[
    last(
        "request-validation",
        user::NO,
        "the request was not accepted; check how the numbers are written, and the text's length",
    ),
    account(
        "unauthorized",
        "the credentials are refused; check account_id, api_user and api_password",
    ),
    account(
        "forbidden",
        "the user may not use the messaging API; give it that right",
    ),
    last(
        "unsupported-content-type",
        user::NO,
        "the request's type was refused; check what stands between",
    ),
    passing(
        "max-message-queue-size-exceeded",
        "the account's queue at Bandwidth is full; lower the rates of its numbers if it stays",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Kind, check_table};

    #[test]
    fn every_code_has_its_class() {
        check_table(
            &BANDWIDTH,
            &[
                (Kind::Passing, &["max-message-queue-size-exceeded"]),
                (Kind::Account, &["unauthorized", "forbidden"]),
                (Kind::Final, &["request-validation", "unsupported-content-type"]),
            ],
        );
    }
}
