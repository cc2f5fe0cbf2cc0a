//! What Twilio's error codes mean for a text, from <https://www.twilio.com/docs/api/errors> (each code has its page
//! there). The 30xxx codes name why a message that was created did not arrive; the API answers some of them as well.

use crate::{
    failure::{Dialect, Known, account, last, opted_out, passing},
    outbound::user,
};

pub const TWILIO: Dialect = Dialect {
    name: "Twilio",
    docs: "https://www.twilio.com/docs/api/errors/{}",
    table: TABLE,
};

const TABLE: &[Known] = &[
    account(
        "10001",
        "the account is not active; add funds or ask Twilio's support to reactivate it",
    ),
    account(
        "20003",
        "the credentials are refused; check the account SID and auth token (or API key) in the account's settings",
    ),
    account(
        "20005",
        "the account is not active; add funds or finish its activation",
    ),
    account(
        "20403",
        "the credentials may not send messages; give the API key that right, or use the auth token",
    ),
    account(
        "20404",
        "the account was not found; check the account SID and api_base in the account's settings",
    ),
    passing(
        "20429",
        "too many requests at once; lower the rates of this account's numbers if it stays",
    ),
    passing(
        "20500",
        "Twilio failed inside; look at status.twilio.com if it stays",
    ),
    passing(
        "20503",
        "Twilio is not available at the moment; look at status.twilio.com if it stays",
    ),
    last(
        "21211",
        user::NUMBER,
        "the customer's number is not a valid phone number",
    ),
    last(
        "21212",
        user::NO,
        "the sending number is not valid; check how the number is written in the tenant's numbers",
    ),
    last(
        "21265",
        user::NUMBER,
        "the customer's address is a short code, and short codes cannot be texted",
    ),
    last(
        "21266",
        user::NUMBER,
        "the customer's number is the sending number itself",
    ),
    last(
        "21267",
        user::NO,
        "a trial account cannot send from an alphanumeric sender; upgrade the account",
    ),
    last(
        "21408",
        user::NUMBER,
        "the account may not send to the customer's country; enable it under Messaging geo permissions",
    ),
    last(
        "21601",
        user::NO,
        "the sending number cannot send texts; use a number with SMS of this account",
    ),
    last("21602", user::EMPTY, "the text is empty"),
    last(
        "21603",
        user::NO,
        "no sender was given; check the number or the messaging service of the account",
    ),
    last("21604", user::NO, "no recipient was given"),
    last(
        "21606",
        user::NO,
        "the sending number cannot be used for this destination or account; check that Twilio lists it with SMS",
    ),
    last(
        "21607",
        user::NO,
        "a trial account can only send from its trial number; upgrade the account",
    ),
    last(
        "21608",
        user::NUMBER,
        "a trial account can only text verified numbers; upgrade the account or verify the number",
    ),
    opted_out(
        "21610",
        "the customer has opted out (STOP) of this number; only the customer can opt in again (START)",
    ),
    passing(
        "21611",
        "the sending number has too many messages queued at Twilio; lower its rate or add numbers",
    ),
    last(
        "21612",
        user::NUMBER,
        "this sender cannot reach this destination; look up the country's rules for senders",
    ),
    last(
        "21614",
        user::NUMBER,
        "the customer's number is not a mobile number",
    ),
    last(
        "21617",
        user::TOO_LONG,
        "the text is longer than 1,600 characters",
    ),
    last("21619", user::EMPTY, "the text is empty"),
    last(
        "21635",
        user::NUMBER,
        "the customer's number is a landline, and texts to landlines of its country are not delivered",
    ),
    last(
        "21658",
        user::TOO_LONG,
        "a parameter is too long; the text may have 1,600 characters",
    ),
    last(
        "21659",
        user::NO,
        "the sending number is not Twilio's, or a short code of another country; finish its porting or correct it",
    ),
    last(
        "21660",
        user::NO,
        "the sending number belongs to another Twilio account; move the number to the account that owns it",
    ),
    last(
        "21661",
        user::NO,
        "the sending number has no SMS capability; use another number",
    ),
    account(
        "21703",
        "the messaging service has no number that can send; add one to it",
    ),
    account(
        "21704",
        "the messaging service has no numbers; add the tenant's numbers to it",
    ),
    account(
        "21705",
        "the messaging service is not valid; correct messaging_service_sid in the account's settings",
    ),
    passing(
        "30001",
        "the sending number's queue at Twilio is full; lower its rate or add numbers",
    ),
    account(
        "30002",
        "the account is suspended; settle its balance or answer Twilio's notice",
    ),
    last(
        "30003",
        user::NUMBER,
        "the phone cannot be reached: switched off, out of reach or not able to receive texts",
    ),
    last(
        "30004",
        user::BLOCKED,
        "the recipient or its network blocks texts from this number",
    ),
    last(
        "30005",
        user::NUMBER,
        "the number is not known to its network, or no longer in use",
    ),
    last(
        "30006",
        user::NUMBER,
        "the number is a landline, or its network cannot be reached",
    ),
    last(
        "30007",
        user::BLOCKED,
        "the network filtered the text as unwanted; look at its content and the sender's registration",
    ),
    last(
        "30008",
        user::NO,
        "the network gave no reason; send it once more by hand, and ask Twilio's support if it stays",
    ),
    last(
        "30032",
        user::BLOCKED,
        "the toll-free number is not verified; verify it in Twilio's console",
    ),
    last(
        "30034",
        user::BLOCKED,
        "the number is not registered for A2P 10DLC; register its campaign in Twilio's console",
    ),
    last(
        "30036",
        user::NO,
        "the text waited longer at Twilio than its validity period; lower the number's rate or lengthen the period",
    ),
    account(
        "63038",
        "the account's limit of messages per day is reached; ask Twilio's support for a higher one",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Kind, check_table};

    #[test]
    fn every_code_has_its_class() {
        check_table(
            &TWILIO,
            &[
                (Kind::Passing, &["20429", "20500", "20503", "21611", "30001"]),
                (
                    Kind::Account,
                    &[
                        "10001", "20003", "20005", "20403", "20404", "21703", "21704", "21705", "30002",
                        "63038",
                    ],
                ),
                (Kind::OptedOut, &["21610"]),
                (
                    Kind::Final,
                    &[
                        "21211", "21212", "21265", "21266", "21267", "21408", "21601", "21602", "21603",
                        "21604", "21606", "21607", "21608", "21612", "21614", "21617", "21619", "21635",
                        "21658", "21659", "21660", "21661", "30003", "30004", "30005", "30006", "30007",
                        "30008", "30032", "30034", "30036",
                    ],
                ),
            ],
        );
    }
}
