//! What is wrong with a frame of the customer's side, measured against the protocol.
//!
//! AACC itself is tolerant; the simulator answers as AACC does and keeps a list for whoever tests a client. A finding
//! names fields and JSON types, never their content.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Against the protocol.
    Malformed,
    /// Clients of real servers do it, ours should not.
    Tolerated,
}

/// One thing that is wrong with one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub rule: &'static str,
    pub detail: String,
    pub severity: Severity,
}

const METHODS: [&str; 7] = [
    "requestChat",
    "newMessage",
    "isTyping",
    "queueStatus",
    "newPushPageMessage",
    "closeConversation",
    "ping",
];

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn malformed(&mut self, rule: &'static str, detail: impl Into<String>) {
        self.0.push(Finding {
            rule,
            detail: detail.into(),
            severity: Severity::Malformed,
        });
    }

    fn tolerated(&mut self, rule: &'static str, detail: impl Into<String>) {
        self.0.push(Finding {
            rule,
            detail: detail.into(),
            severity: Severity::Tolerated,
        });
    }

    fn text(&mut self, fields: &Map<String, Value>, name: &str, may_be_empty: bool) {
        match fields.get(name) {
            Some(Value::String(s)) if s.is_empty() && !may_be_empty => {
                self.malformed("field_value", format!("{name} is empty"));
            }
            Some(Value::String(_)) => {}
            Some(other) => self.malformed("field_type", format!("{name} is {}, not a string", kind(other))),
            None => self.malformed("field_missing", format!("{name} is missing")),
        }
    }

    fn flag(&mut self, fields: &Map<String, Value>, name: &str) {
        match fields.get(name) {
            Some(Value::Bool(_)) => {}
            Some(other) => self.malformed("field_type", format!("{name} is {}, not a boolean", kind(other))),
            None => self.malformed("field_missing", format!("{name} is missing")),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Everything that is wrong with a text frame.
pub(crate) fn check(text: &str) -> Vec<Finding> {
    let mut found = Findings::default();
    match serde_json::from_str(text) {
        Ok(Value::Object(frame)) => envelope(&mut found, &frame),
        Ok(other) => found.malformed("not_an_object", format!("the frame is {}", kind(&other))),
        Err(e) => found.malformed("not_json", format!("line {}, column {}", e.line(), e.column())),
    }
    found.0
}

fn envelope(found: &mut Findings, frame: &Map<String, Value>) {
    match frame.get("apiVersion") {
        Some(Value::String(s)) if s == "1.0" => {}
        Some(Value::Number(n)) if n.as_f64() == Some(1.0) => {}
        Some(Value::String(_) | Value::Number(_)) => found.malformed("api_version", "apiVersion is not 1.0"),
        Some(other) => found.malformed("api_version", format!("apiVersion is {}", kind(other))),
        None => found.malformed("api_version", "apiVersion is missing"),
    }
    match frame.get("type") {
        Some(Value::String(s)) if s == "request" => {}
        Some(Value::String(s)) if s.eq_ignore_ascii_case("request") => {
            found.tolerated("case", "type is not written as request");
        }
        _ => found.malformed("type", "type is not request"),
    }
    let Some(Value::Object(body)) = frame.get("body") else {
        return found.malformed("body", "body is not an object");
    };
    let Some(Value::String(method)) = body.get("method") else {
        return found.malformed("method", "body.method is not a string");
    };
    let Some(known) = METHODS.iter().find(|m| m.eq_ignore_ascii_case(method)) else {
        return found.malformed("unknown_method", "AACC 7.x knows no such method");
    };
    if known != method {
        found.tolerated("case", format!("the method is not written as {known}"));
    }
    match *known {
        "requestChat" => request_chat(found, body),
        "newMessage" => found.text(body, "message", false),
        "isTyping" => {
            found.flag(body, "isTyping");
            if body.get("isTyping") == Some(&Value::Bool(false)) {
                found.tolerated("typing_false", "the reference client never sends false");
            }
        }
        "newPushPageMessage" => {
            found.text(body, "pagePushURL", false);
            found.text(body, "pagePushDestination", false);
        }
        _ => {}
    }
}

fn request_chat(found: &mut Findings, body: &Map<String, Value>) {
    let guid = body.get("guid");
    let key = body.get("authenticationKey");
    for (name, value) in [("guid", guid), ("authenticationKey", key)] {
        if value.is_none() {
            found.tolerated("field_missing", format!("{name} is left out"));
        }
    }
    match guid {
        None | Some(Value::Null) => {}
        Some(Value::Number(n)) if n.is_u64() => {}
        Some(Value::String(s)) if !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) => {
            found.tolerated("field_type", "guid is a string of digits, AACC gave a number");
        }
        Some(other) => found.malformed("field_type", format!("guid is {}, no whole number", kind(other))),
    }
    match key {
        None | Some(Value::Null) => {}
        Some(Value::String(s)) if !s.is_empty() => {}
        Some(Value::String(_)) => found.malformed("field_value", "authenticationKey is empty"),
        Some(other) => found.malformed("field_type", format!("authenticationKey is {}", kind(other))),
    }
    let given = |v: Option<&Value>| v.is_some_and(|v| !v.is_null());
    if given(guid) != given(key) {
        found.malformed("guid_and_key", "guid and authenticationKey go together");
    }
    found.text(body, "deviceType", true);
    found.flag(body, "requestTranscript");
    match body.get("intrinsics") {
        Some(Value::Object(fields)) => intrinsics(found, fields),
        None if given(guid) => found.tolerated("field_missing", "intrinsics are left out of a resume"),
        None => found.malformed("field_missing", "intrinsics are missing"),
        Some(other) => found.malformed(
            "field_type",
            format!("intrinsics is {}, not an object", kind(other)),
        ),
    }
}

fn intrinsics(found: &mut Findings, fields: &Map<String, Value>) {
    for name in ["email", "name", "phoneNumber", "skillset"] {
        found.text(fields, name, true);
    }
    for name in ["country", "area"] {
        match fields.get(name) {
            Some(_) => found.text(fields, name, true),
            None => found.tolerated("field_missing", format!("intrinsics.{name} is left out")),
        }
    }
    match fields.get("customFields") {
        None => {}
        Some(Value::Array(list)) => {
            for field in list {
                match field {
                    Value::Object(f) => {
                        found.text(f, "title", false);
                        found.text(f, "value", true);
                    }
                    other => found.malformed("field_type", format!("a custom field is {}", kind(other))),
                }
            }
        }
        Some(other) => found.malformed(
            "field_type",
            format!("customFields is {}, not a list", kind(other)),
        ),
    }
    let known = [
        "email",
        "name",
        "country",
        "area",
        "phoneNumber",
        "skillset",
        "customFields",
    ];
    if fields.keys().any(|k| !known.contains(&k.as_str())) {
        found.tolerated(
            "unknown_field",
            "intrinsics carry a field that the reference client does not send",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(frame: Value) -> Vec<&'static str> {
        check(&frame.to_string()).iter().map(|f| f.rule).collect()
    }

    fn request(body: Value) -> Value {
        json!({"apiVersion": "1.0", "type": "request", "body": body})
    }

    #[test]
    fn frames_of_the_reference_client_are_clean() {
        let open = json!({"method": "requestChat", "guid": null, "authenticationKey": null, "deviceType": "x",
            "requestTranscript": false, "intrinsics": {"email": "", "name": "", "country": "+1", "area": "469",
            "phoneNumber": "7206211", "skillset": "S", "customFields": [{"title": "from", "value": "+1"}]}});
        assert_eq!(rules(request(open)), [""; 0]);
        for body in [
            json!({"method": "newMessage", "message": "hello"}),
            json!({"method": "isTyping", "isTyping": true}),
            json!({"method": "closeConversation"}),
            json!({"method": "ping"}),
            json!({"method": "newPushPageMessage", "pagePushURL": "https://x", "pagePushDestination": "newTab"}),
        ] {
            assert_eq!(rules(request(body)), [""; 0]);
        }
        let queue = json!({"apiVersion": 1.0, "type": "request", "body": {"method": "queueStatus"}});
        assert_eq!(rules(queue), [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(check("{").first().map(|f| f.rule), Some("not_json"));
        assert_eq!(rules(json!([1])), ["not_an_object"]);
        assert_eq!(
            rules(json!({"type": "request", "body": {"method": "ping"}})),
            ["api_version"]
        );
        assert_eq!(
            rules(json!({"apiVersion": "1.0", "type": "notification", "body": {"method": "ping"}})),
            ["type"]
        );
        assert_eq!(rules(json!({"apiVersion": "1.0", "type": "request"})), ["body"]);
        assert_eq!(rules(request(json!({"method": "renewChat"}))), ["unknown_method"]);
        assert_eq!(
            rules(request(json!({"method": "newmessage", "message": "x"}))),
            ["case"]
        );
        assert_eq!(
            rules(request(json!({"method": "newMessage", "message": ""}))),
            ["field_value"]
        );
        assert_eq!(
            rules(request(json!({"method": "newMessage", "message": 7}))),
            ["field_type"]
        );
        let half = json!({"method": "requestChat", "guid": 62, "authenticationKey": null, "deviceType": "x",
            "requestTranscript": true});
        assert_eq!(rules(request(half)), ["guid_and_key", "field_missing"]);
    }

    #[test]
    fn findings_never_quote_content() {
        let secret = "CANARY";
        let frame = request(json!({"method": "newMessage", "message": [secret], "x": secret}));
        assert!(!check(&frame.to_string()).is_empty());
        assert!(
            check(&frame.to_string())
                .iter()
                .all(|f| !f.detail.contains(secret))
        );
        assert!(check(secret).iter().all(|f| !f.detail.contains(secret)));
    }
}
