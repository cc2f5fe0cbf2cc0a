//! Table tests of what is decided.

use crate::facts::{MONDAY, NIGHT, OURS, Text, at, router, text};
use ccm_routing::{Action, Fallback, Outcome, Router, Then};
use serde_json::{Value, json};

/// Monday to Friday, 9 to 17:30.
fn office() -> Value {
    let day = json!([{"from": "09:00", "to": "17:30"}]);
    json!({"time_zone": "Europe/Berlin",
           "weekly": {"monday": day, "tuesday": day, "wednesday": day, "thursday": day, "friday": day},
           "holidays": [{"name": "Christmas", "date": "12-25"}]})
}

/// What is decided, in short.
fn short(router: &Router, text: &Text) -> String {
    written(&text.decided(router).action)
}

fn written(action: &Action) -> String {
    let agents = |skillset: &Option<String>| skillset.clone().unwrap_or_else(|| "(own)".to_owned());
    match action {
        Action::Default => "(own)".to_owned(),
        Action::Skillset { name } => name.clone(),
        Action::Reply {
            reply,
            then: Then::Done,
        } => format!("say {reply}"),
        Action::Reply {
            reply,
            then: Then::Offer { skillset },
        } => format!("say {reply}, {}", agents(skillset)),
        Action::HoldUntil {
            at,
            calendar,
            reply,
            skillset,
        } => format!(
            "hold for {calendar} until {}, say {}, {}",
            at.map(|at| at.to_string()).unwrap_or_else(|| "?".into()),
            reply.as_deref().unwrap_or("nothing"),
            agents(skillset)
        ),
        Action::Webhook { url, fallback, .. } => format!("ask {url}, else {}", written(fallback)),
    }
}

#[test]
fn a_tenant_that_has_set_nothing_has_the_numbers_own_skillset() {
    let decision = text("hello").at(NIGHT).decided(&Router::default());
    assert_eq!((decision.action, decision.rule), (Action::Default, None));
    assert_eq!(short(&router(json!({})), &text("hello")), "(own)");
}

#[test]
fn several_numbers_come_to_one_skillset_and_one_number_to_several() {
    let router = router(json!({"rules": [
        {"name": "sales", "when": {"numbers": [OURS], "keyword": {"any_of": ["SALES", "KAUF"]}}, "action": {"skillset": "Sales"}},
        {"name": "support", "when": {"numbers": [OURS, "72345"]}, "action": {"skillset": "Support"}}
    ]}));
    for (text, skillset) in [
        (text("Sales please"), "Sales"),
        (text("kauf"), "Sales"),
        (text("hello"), "Support"),
        (text("Sales").to("72345"), "Support"),
        (text("hello").to("72345"), "Support"),
        (text("Sales").to("+14155550199"), "(own)"),
    ] {
        assert_eq!(short(&router, &text), skillset);
    }
}

#[test]
fn the_smallest_priority_goes_first_then_the_order() {
    let rule =
        |name: &str, priority: u32| json!({"name": name, "priority": priority, "action": {"skillset": name}});
    let mut document = json!({"rules": [rule("b", 100), rule("c", 100), rule("a", 5), rule("d", 0)]});
    document["rules"][3]["enabled"] = json!(false);
    let explained = text("x").explained(&router(document));
    let seen: Vec<_> = explained
        .rules
        .iter()
        .map(|rule| (rule.name.as_str(), rule.outcome))
        .collect();
    assert_eq!(
        seen,
        [
            ("d", Outcome::Disabled),
            ("a", Outcome::Decides),
            ("b", Outcome::TooLate),
            ("c", Outcome::TooLate)
        ]
    );
    assert_eq!(explained.decision.rule.as_deref(), Some("a"));
}

#[test]
fn conditions_of_language_and_list() {
    let router = router(json!({
        "lists": {"vip": {"numbers": ["+353 86 123 4567", "72999"], "prefixes": ["+4930"]}},
        "rules": [
            {"name": "vip", "when": {"list": {"name": "vip"}, "languages": ["de"]}, "action": {"skillset": "VIP-de"}},
            {"name": "rest", "when": {"list": {"name": "vip", "is": "not_in"}}, "action": {"skillset": "Rest"}}
        ]
    }));
    for (text, skillset) in [
        (text("x").speaking("de"), "VIP-de"),
        (text("x").speaking("DE-at"), "VIP-de"),
        (text("x").speaking("den"), "(own)"),
        (text("x").speaking("d"), "(own)"),
        (text("x"), "(own)"),
        (text("x").speaking("de").from("+493012345"), "VIP-de"),
        (text("x").speaking("de").from("72999"), "VIP-de"),
        (text("x").speaking("de").from("+4940123456"), "Rest"),
        (text("x").speaking("de").from("WEBTEXT"), "Rest"),
    ] {
        assert_eq!(short(&router, &text), skillset);
    }
}

#[test]
fn conditions_of_time() {
    let time = |is: &str| json!({"time": {"calendar": "office", "is": is}});
    let router = router(json!({"calendars": {"office": office()}, "rules": [
        {"name": "holiday", "when": time("holiday"), "action": {"reply": {"words": {"en": "Merry Christmas"}, "then": "done"}}},
        {"name": "open", "when": time("open"), "action": {"skillset": "Day"}},
        {"name": "closed", "when": time("closed"), "action": {"skillset": "Night"}}
    ]}));
    assert_eq!(short(&router, &text("x")), "Day");
    assert_eq!(short(&router, &text("x").at(NIGHT)), "Night");
    assert_eq!(
        short(&router, &text("x").at("2026-12-25T11:00:00Z")),
        "say Merry Christmas"
    );
}

#[test]
fn after_hours_texts_are_answered_kept_and_offered_in_the_morning() {
    let router = router(json!({
        "calendars": {"office": office(), "always": {"time_zone": "UTC", "weekly": {}}},
        "rules": [{"name": "sos", "when": {"keyword": {"any_of": ["SOS"]}}, "action": {"skillset": "Emergency"}}],
        "after_hours": [
            {"calendar": "always", "skillsets": ["Emergency"], "hold": false, "reply": {"en": "Help is coming"}},
            {"calendar": "office", "reply": {"en": "Back on {opens_date} at {opens_time}", "de": "Wieder ab {opens_time}"}}
        ]
    }));
    assert_eq!(short(&router, &text("hello")), "(own)");
    let night = text("hello").at(NIGHT);
    assert_eq!(
        short(&router, &night),
        "hold for office until 2026-11-30 8:00:00.0 +00:00:00, say Back on 2026-11-30 at 09:00, (own)"
    );
    assert!(short(&router, &night.clone().speaking("de-CH")).contains("say Wieder ab 09:00,"));
    assert!(
        short(&router, &night.clone().speaking("fr")).contains("say Wieder ab"),
        "the tenant's language"
    );
    // Asked again while it waits, and when it is due.
    let waits = text("hello").held("office", None);
    assert_eq!(
        short(&router, &waits.clone().at(NIGHT)),
        "hold for office until 2026-11-30 8:00:00.0 +00:00:00, say nothing, (own)"
    );
    assert_eq!(short(&router, &waits.at(MONDAY)), "(own)");
    assert_eq!(
        short(&router, &text("SOS").at(NIGHT)),
        "say Help is coming, Emergency"
    );
}

/// Mornings and afternoons, and each half keeps the text for the other.
#[test]
fn calendars_that_open_by_turns_keep_a_text_once() {
    let calendar =
        |from: &str, to: &str| json!({"time_zone": "UTC", "weekly": {"monday": [{"from": from, "to": to}]}});
    let router = router(json!({
        "calendars": {"a": calendar("08:00", "12:00"), "b": calendar("12:00", "16:00")},
        "rules": [{"name": "b", "when": {"time": {"calendar": "b", "is": "open"}}, "action": {"skillset": "A"}},
                  {"name": "else", "action": {"skillset": "B"}}],
        "after_hours": [{"calendar": "a", "skillsets": ["A"], "reply": {"en": "Later"}},
                        {"calendar": "b", "skillsets": ["B"], "reply": {"en": "Later"}}]
    }));
    let morning = text("x").at("2026-11-30T09:00:00Z");
    assert_eq!(
        short(&router, &morning),
        "hold for b until 2026-11-30 12:00:00.0 +00:00:00, say Later, (own)"
    );
    let first = morning.decided(&router).action;
    assert_eq!(
        morning.with(|facts| router.comes_to(&first, facts)).as_deref(),
        Some("A")
    );
    assert_eq!(
        short(&router, &text("x").held("b", None).at("2026-11-30T12:00:00Z")),
        "A"
    );
    // The calendar is gone: the rules say it anew, and nothing is said again.
    assert_eq!(
        short(&router, &text("x").held("c", None).at("2026-11-30T12:00:00Z")),
        "hold for a until 2026-12-07 8:00:00.0 +00:00:00, say nothing, (own)"
    );
}

#[test]
fn a_reply_by_rule_can_be_the_end_or_keep_the_text() {
    let mut document = json!({
        "calendars": {"office": office(), "never": {"time_zone": "UTC", "holidays": [
            {"name": "once", "date": "2029-01-01", "hours": [{"from": "09:00", "to": "10:00"}]},
            {"name": "yearly", "date": "02-29", "hours": [{"from": "09:00", "to": "10:00"}]}]}},
        "rules": [
            {"name": "info", "when": {"keyword": {"any_of": ["HOURS"]}}, "action": {"reply": {"words": {"en": "9 to 5"}, "then": "done"}}},
            {"name": "call", "when": {"keyword": {"any_of": ["CALL"]}},
             "action": {"reply": {"words": {"en": "We call you"}, "skillset": "Callback", "calendar": "office"}}},
            {"name": "leap", "when": {"keyword": {"any_of": ["LEAP"]}},
             "action": {"reply": {"words": {"en": "Wait{opens_date}"}, "calendar": "never"}}},
            {"name": "late", "when": {"time": {"calendar": "office", "is": "closed"}},
             "action": {"reply": {"words": {"en": "Good night"}}}},
            {"name": "ask", "when": {"keyword": {"any_of": ["ASK"]}}, "action": {"reply": {"words": {"fr": "Un moment"}, "skillset": "Ask"}}}
        ]
    });
    let made = router(document.clone());
    assert_eq!(short(&made, &text("hours?").at(NIGHT)), "say 9 to 5");
    assert_eq!(short(&made, &text("call me")), "say We call you, Callback");
    assert_eq!(
        short(&made, &text("call me").at(NIGHT)),
        "hold for office until 2026-11-30 8:00:00.0 +00:00:00, say We call you, Callback"
    );
    let kept = text("call me").held("office", Some("Callback"));
    assert_eq!(short(&made, &kept.clone().at(MONDAY)), "Callback");
    assert_eq!(
        short(&made, &kept.at("2026-12-25T11:00:00Z")),
        "hold for office until 2026-12-28 8:00:00.0 +00:00:00, say nothing, Callback"
    );
    assert_eq!(
        short(&made, &text("leap")),
        "hold for never until ?, say Wait, (own)"
    );
    // The calendar is that of the rule's own condition.
    assert_eq!(
        short(&made, &text("hi").at(NIGHT)),
        "hold for office until 2026-11-30 8:00:00.0 +00:00:00, say Good night, (own)"
    );
    assert_eq!(short(&made, &text("hi").at(MONDAY).held("office", None)), "(own)");
    // No calendar at all: at once. And somebody who is promised an answer gets one, in whatever language there is.
    assert_eq!(short(&made, &text("ask")), "say Un moment, Ask");
    // That of after_hours.
    document["after_hours"] = json!([{"calendar": "office", "numbers": [OURS], "reply": {"en": "x"}}]);
    document["rules"]
        .as_array_mut()
        .unwrap()
        .retain(|rule| rule["name"] == "ask");
    assert_eq!(
        short(&router(document), &text("ask").at(NIGHT)),
        "hold for office until 2026-11-30 8:00:00.0 +00:00:00, say Un moment, Ask"
    );
}

#[test]
fn a_webhook_has_a_fallback_that_knows_the_hours() {
    let rule = |name: &str, fallback: Value| {
        json!({"name": name, "when": {"keyword": {"any_of": [name]}},
               "action": {"webhook": {"url": "https://hooks.example.com/route", "fallback": fallback}}})
    };
    let router = router(json!({
        "calendars": {"office": office()},
        "rules": [rule("a", Value::Null), rule("b", json!({"skillset": "Bots"})),
                  rule("c", json!({"reply": {"words": {"en": "Later"}, "then": "done"}}))],
        "after_hours": [{"calendar": "office", "skillsets": ["Bots"], "reply": {"en": "Closed"}}]
    }));
    let ask = "ask https://hooks.example.com/route, else";
    assert_eq!(short(&router, &text("a").at(NIGHT)), format!("{ask} (own)"));
    assert_eq!(short(&router, &text("b")), format!("{ask} Bots"));
    assert_eq!(
        short(&router, &text("b").at(NIGHT)),
        format!("{ask} hold for office until 2026-11-30 8:00:00.0 +00:00:00, say Closed, (own)")
    );
    assert_eq!(short(&router, &text("c")), format!("{ask} say Later"));

    // What it answers is acted on in the same way.
    let answered = |answer: Value, now: &str| {
        let answer: Fallback = serde_json::from_value(answer).unwrap();
        text("x").at(now).with(|facts| router.act_on(&answer, facts))
    };
    let written = |answer, now| written(&answered(answer, now).unwrap());
    assert_eq!(written(json!({"skillset": "Bots"}), MONDAY), "Bots");
    assert!(written(json!({"skillset": "Bots"}), NIGHT).starts_with("hold for office"));
    let reply = |calendar: &str| json!({"reply": {"words": {"en": "Hi"}, "calendar": calendar}});
    assert!(written(reply("office"), NIGHT).starts_with("hold for office"));
    assert_eq!(answered(reply("x"), NIGHT).unwrap_err().field, "calendar");
    assert_eq!(answered(json!({}), NIGHT).unwrap_err().field, "");
    assert_eq!(
        answered(json!({"skillset": ""}), NIGHT).unwrap_err().field,
        "skillset"
    );
}

#[test]
fn explanations_say_what_was_seen_in_plain_english() {
    let router = router(json!({
        "calendars": {"office": office()},
        "lists": {"vip": {"numbers": ["+353861234567"]}},
        "rules": [
            {"name": "vip-de", "priority": 1, "when": {"list": {"name": "vip"}, "languages": ["de", "nl"]}, "action": {"skillset": "VIP"}},
            {"name": "sales", "when": {"numbers": [OURS], "keyword": {"any_of": ["SALES", "BUY"]},
                                       "time": {"calendar": "office", "is": "open"}}, "action": {"skillset": "Sales"}},
            {"name": "all", "action": {"skillset": "All"}}
        ],
        "after_hours": [{"calendar": "office", "skillsets": ["Other"], "reply": {"en": "x"}},
                        {"calendar": "office", "skillsets": ["Sales"], "reply": {"en": "x"}}]
    }));
    let explained = text("Buy, please").explained(&router);
    let told: Vec<_> = explained
        .rules
        .iter()
        .flat_map(|rule| {
            let conditions = rule
                .conditions
                .iter()
                .map(|c| format!("  {} {}: {}", c.condition, c.matched, c.why));
            [format!("{} {}: {}", rule.name, rule.outcome.as_str(), rule.why)]
                .into_iter()
                .chain(conditions)
        })
        .collect();
    assert_eq!(
        told,
        [
            "vip-de no_match: it does not match: languages",
            "  languages false: the customer's language is not one of de, nl",
            "  list true: the customer is in the list vip",
            "sales decides: all of its conditions hold, so it decides",
            "  numbers true: the number that was texted is one of the rule's 1",
            "  keyword true: the text begins with the keyword BUY",
            "  time true: office is open on Friday 2026-11-27 12:00",
            "all too_late: it matches, but sales has decided before",
        ]
    );
    let hours = explained.after_hours.unwrap();
    assert_eq!((hours.entry, hours.open), (1, true));
    assert_eq!(
        hours.why,
        "after_hours[1] is about the skillset Sales; the calendar office is open, so agents are offered the text"
    );
    assert_eq!(explained.decision.why, "the rule sales decides");

    let night = text("Buy").at("2026-12-24T23:30:00Z").explained(&router);
    assert_eq!(
        night.rules[1].conditions[2].why,
        "office is closed on Friday 2026-12-25 00:30, the holiday Christmas"
    );
    let calendar = &night.calendars[0];
    assert_eq!(
        (calendar.open, calendar.holiday.as_deref()),
        (false, Some("Christmas"))
    );
    assert_eq!(calendar.local_time, "2026-12-25T00:30");
    assert_eq!(calendar.next_opening, Some(at("2026-12-28T08:00:00Z")));
    assert_eq!(night.decision.rule.as_deref(), Some("all"));
}

/// Ten thousand customers and two hundred rules: what a text costs. Measured by hand, in release.
#[test]
#[ignore = "long"]
#[allow(clippy::disallowed_methods, reason = "it measures")]
fn long_what_a_decision_costs() {
    let numbers: Vec<_> = (0..9_990).map(|n| format!("+4930{n:07}")).collect();
    let rules: Vec<_> = (0..199)
        .map(|n| {
            json!({"name": format!("r{n}"), "priority": n % 7,
                   "when": {"keyword": {"any_of": [format!("WORD{n}"), format!("other{n}")], "match": "contains"},
                            "list": {"name": "vip", "is": "not_in"}, "time": {"calendar": "office", "is": "open"}},
                   "action": {"skillset": "S"}})
        })
        .collect();
    let big = router(
        json!({"calendars": {"office": office()}, "lists": {"vip": {"numbers": numbers}}, "rules": rules,
                            "after_hours": [{"calendar": "office", "reply": {"en": "Back at {opens_time}"}}]}),
    );
    let small = router(json!({"calendars": {"office": office()}, "rules": [
        {"name": "a", "when": {"keyword": {"any_of": ["SALES"]}}, "action": {"skillset": "Sales"}},
        {"name": "b", "when": {"languages": ["de"]}, "action": {"skillset": "German"}},
        {"name": "c", "when": {"time": {"calendar": "office", "is": "closed"}}, "action": {"reply": {"words": {"en": "Night"}}}}]}));
    let ordinary = "Hello, my order 4711 has not come yet. Could you look where it is, please? Thank you very much in advance, I wait for your answer. All the best, Ann";
    for (name, router, text) in [
        ("3 rules, day", &small, text(ordinary)),
        ("3 rules, night", &small, text(ordinary).at(NIGHT)),
        ("199 rules and 9,990 customers, day", &big, text(ordinary)),
        (
            "199 rules and 9,990 customers, night",
            &big,
            text(ordinary).at(NIGHT),
        ),
        (
            "199 rules, a text with umlauts",
            &big,
            text(&format!("Grüße! {ordinary}")),
        ),
    ] {
        let rounds = 10_000;
        let begun = std::time::Instant::now();
        for _ in 0..rounds {
            std::hint::black_box(text.with(|facts| router.decide(facts)));
        }
        println!(
            "{name}: {:.2} µs",
            begun.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
        );
    }
}
