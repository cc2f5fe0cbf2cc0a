//! What the SMS API's codes mean (`status` of each message of an answer), from <https://developer.vonage.com/en/api-errors/sms>.

use crate::{
    failure::{Dialect, Known, account, last, passing, unclear},
    outbound::user,
};

pub const VONAGE: Dialect = Dialect {
    name: "Vonage",
    docs: "https://developer.vonage.com/en/api-errors/sms",
    table: TABLE,
};

const TABLE: &[Known] = &[
    passing(
        "1",
        "texts go out faster than the account may send; lower the rates of its numbers if it stays",
    ),
    last(
        "2",
        user::NO,
        "a parameter is missing; check the account's settings",
    ),
    last(
        "3",
        user::NO,
        "a parameter is not valid; check how the numbers are written",
    ),
    account("4", "the credentials are refused; check api_key and api_secret"),
    unclear("5", "Vonage failed inside; ask Vonage's support if it stays"),
    last(
        "6",
        user::NUMBER,
        "Vonage could not process the text, as with a number whose prefix it does not know",
    ),
    last("7", user::NUMBER, "the customer's number is barred at Vonage"),
    account("8", "the account is suspended; ask Vonage's support"),
    account("9", "the account has too little credit; top it up"),
    passing(
        "10",
        "too many connections to Vonage at once; lower the rates of the account's numbers if it stays",
    ),
    account(
        "11",
        "the account is not enabled for the SMS API; ask Vonage's support",
    ),
    last("12", user::TOO_LONG, "the text is too long"),
    account(
        "14",
        "the signature is refused; the account may have to send signed requests, which is not done here",
    ),
    last(
        "15",
        user::NO,
        "the sender is not allowed for the customer's network; use one of the account's numbers",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Kind, check_table};

    #[test]
    fn every_code_has_its_class() {
        check_table(
            &VONAGE,
            &[
                (Kind::Passing, &["1", "10"]),
                (Kind::Unclear, &["5"]),
                (Kind::Account, &["4", "8", "9", "11", "14"]),
                (Kind::Final, &["2", "3", "6", "7", "12", "15"]),
            ],
        );
    }
}
