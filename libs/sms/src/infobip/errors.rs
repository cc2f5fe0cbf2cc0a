//! What the group of a status means in the answer to a send, from
//! <https://www.infobip.com/docs/developer-resources/errors-and-responses/response-codes>. Which of a group's many statuses it is stands
//! beside it in the provider's words.

use crate::{
    failure::{Dialect, Known, last},
    outbound::user,
};

pub const INFOBIP: Dialect = Dialect {
    name: "Infobip",
    docs: "https://www.infobip.com/docs/developer-resources/errors-and-responses/response-codes",
    table: TABLE,
};

const TABLE: &[Known] = &[
    last(
        "UNDELIVERABLE",
        user::NUMBER,
        "the text cannot be delivered to this number",
    ),
    last("EXPIRED", user::NO, "the text expired before it was sent"),
    last(
        "REJECTED",
        user::NO,
        "Infobip or the operator refused the text; its logs say which status it has and why",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Kind, check_table};

    #[test]
    fn every_code_has_its_class() {
        check_table(
            &INFOBIP,
            &[(Kind::Final, &["UNDELIVERABLE", "EXPIRED", "REJECTED"])],
        );
    }
}
