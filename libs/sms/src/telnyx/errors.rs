//! What Telnyx's codes mean, from <https://developers.telnyx.com/docs/messaging/messages/error-codes> and, for 10xxx and 20xxx,
//! <https://developers.telnyx.com/development/api-fundamentals/api-errors>. The 400xx name why a message that was taken did not
//! arrive.

use crate::{
    failure::{Dialect, Known, account, last, opted_out, passing, unclear},
    outbound::user,
};

pub const TELNYX: Dialect = Dialect {
    name: "Telnyx",
    docs: "https://developers.telnyx.com/docs/messaging/messages/error-codes",
    table: TABLE,
};

const TABLE: &[Known] = &[
    last("10001", user::NUMBER, "the number is inactive"),
    last("10002", user::NUMBER, "the number is not valid"),
    last("10004", user::NO, "a parameter is missing"),
    account("10005", "the resource was not found; check api_base"),
    unclear(
        "10007",
        "Telnyx failed inside; look at status.telnyx.com if it stays",
    ),
    unclear("10008", "the request timed out at Telnyx"),
    account("10009", "the credentials are refused; check api_key"),
    account("10010", "the API key may not send messages; give it that right"),
    passing(
        "10011",
        "too many requests at once; lower the rates of this account's numbers if it stays",
    ),
    last("10015", user::NO, "the request was not well-formed"),
    last(
        "10016",
        user::NUMBER,
        "the number is not written with + and country code",
    ),
    account("20100", "the account has too little credit; top it up"),
    last(
        "40001",
        user::NUMBER,
        "the number is a landline or cannot be reached by texts",
    ),
    last(
        "40002",
        user::BLOCKED,
        "a filter took the text for spam, for now; look at its content and the number's rate",
    ),
    last(
        "40003",
        user::BLOCKED,
        "the sending number is blocked as a source of spam; use another one and ask Telnyx' support",
    ),
    last(
        "40004",
        user::NO,
        "the network refused the text and gave no reason",
    ),
    last("40005", user::NO, "the text expired on its way"),
    last("40006", user::NUMBER, "the recipient's network does not answer"),
    last(
        "40008",
        user::NUMBER,
        "the recipient's network did not take the text",
    ),
    last(
        "40009",
        user::BLOCKED,
        "the network does not take this text; look at its characters and content",
    ),
    last(
        "40010",
        user::BLOCKED,
        "the sending number is not registered for 10DLC; register its campaign in Telnyx' portal",
    ),
    passing(
        "40011",
        "more texts than the network takes; lower the number's rate",
    ),
    last("40012", user::NUMBER, "the network knows no such number"),
    last(
        "40013",
        user::NO,
        "the network refuses the sending number; check that it is active and has messaging",
    ),
    last(
        "40014",
        user::NO,
        "the text waited too long at Telnyx; lower the number's rate",
    ),
    last(
        "40015",
        user::BLOCKED,
        "Telnyx' own filter took the text for spam; look at its content",
    ),
    account(
        "40100",
        "the sending number has no messaging; give it a messaging profile in Telnyx' portal",
    ),
    opted_out(
        "40300",
        "the customer has opted out (STOP) of this number; only the customer can opt in again (START)",
    ),
    last("40302", user::TOO_LONG, "the text is too long"),
    last(
        "40305",
        user::NO,
        "the sending number is not one of this account's; check it and its messaging profile",
    ),
    account(
        "40306",
        "the alphanumeric sender is not set up in the messaging profile",
    ),
    last(
        "40309",
        user::NUMBER,
        "the messaging profile may not send to the customer's country; allow it in Telnyx' portal",
    ),
    last("40310", user::NUMBER, "the customer's number is not valid"),
    account(
        "40312",
        "the messaging profile is disabled; enable it in Telnyx' portal",
    ),
    account(
        "40314",
        "messaging is disabled for the account; ask Telnyx' support",
    ),
    last(
        "40315",
        user::NO,
        "the sending number delivers badly and is not used; look at its figures in Telnyx' portal",
    ),
    last("40316", user::EMPTY, "the text is empty"),
    passing(
        "40318",
        "the sending number's queue at Telnyx is full; lower its rate or add numbers",
    ),
    passing("40320", "the sending number is still being bought"),
    account(
        "40321",
        "the messaging profile has no number that can send; add one",
    ),
    last("40322", user::BLOCKED, "Telnyx does not send this content"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Kind, check_table};

    #[test]
    fn every_code_has_its_class() {
        check_table(
            &TELNYX,
            &[
                (Kind::Passing, &["10011", "40011", "40318", "40320"]),
                (Kind::Unclear, &["10007", "10008"]),
                (
                    Kind::Account,
                    &[
                        "10005", "10009", "10010", "20100", "40100", "40306", "40312", "40314", "40321",
                    ],
                ),
                (Kind::OptedOut, &["40300"]),
                (
                    Kind::Final,
                    &[
                        "10001", "10002", "10004", "10015", "10016", "40001", "40002", "40003", "40004",
                        "40005", "40006", "40008", "40009", "40010", "40012", "40013", "40014", "40015",
                        "40302", "40305", "40309", "40310", "40315", "40316", "40322",
                    ],
                ),
            ],
        );
    }
}
