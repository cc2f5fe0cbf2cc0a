//! Whatever the document and the text: the explanation agrees with the decision, and both with a second, plain reading of the rules.

use crate::facts::{MONDAY, NIGHT, NOON, OURS, at, text};
use ccm_routing::{Action, Outcome, Router, RoutingSettings, Then};
use proptest::prelude::*;
use serde_json::{Value, json};

const WORDS: [&str; 4] = ["sales", "help", "yes", "no way"];
const TIMES: [&str; 4] = [NOON, NIGHT, MONDAY, "2026-12-25T12:00:00Z"];

fn condition() -> impl Strategy<Value = Value> {
    let one = |fields: Value| prop_oneof![2 => Just(Value::Null), 1 => Just(fields)];
    let numbers = prop_oneof![Just(json!([])), Just(json!([OURS])), Just(json!(["72345"]))];
    let matching = prop::sample::select(vec!["first_word", "contains"]);
    let keyword = prop::option::of((prop::sample::subsequence(WORDS.to_vec(), 1..3), matching));
    let is = prop::sample::select(vec!["open", "closed", "holiday"]);
    let languages = prop_oneof![3 => Just(json!([])), 1 => Just(json!(["de"])), 1 => Just(json!(["en"]))];
    let list = prop_oneof![Just("in"), Just("not_in")]
        .prop_flat_map(move |is| one(json!({"name": "vip", "is": is})));
    (numbers, keyword, prop::option::of(is), languages, list).prop_map(
        |(numbers, keyword, is, languages, list)| {
            json!({
                "numbers": numbers,
                "keyword": keyword.map(|(any_of, matching)| json!({"any_of": any_of, "match": matching})),
                "time": is.map(|is| json!({"calendar": "office", "is": is})),
                "languages": languages,
                "list": list,
            })
        },
    )
}

fn action() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({"skillset": "A"}),
        json!({"skillset": "B"}),
        json!({"reply": {"words": {"en": "done"}, "then": "done"}}),
        json!({"reply": {"words": {"en": "kept"}}}),
        json!({"reply": {"words": {"en": "kept"}, "skillset": "C", "calendar": "office"}}),
        json!({"webhook": {"url": "https://x.example/", "fallback": {"skillset": "A"}}}),
    ])
}

fn document() -> impl Strategy<Value = RoutingSettings> {
    let rule = (0u32..4, prop::bool::weighted(0.9), condition(), action());
    let after = prop::sample::select(vec![
        json!([]),
        json!([{"calendar": "office", "reply": {"en": "late"}}]),
        json!([{"calendar": "office", "skillsets": ["A"], "hold": false, "reply": {"en": "late"}},
               {"calendar": "office", "numbers": ["72345"], "reply": {"en": "late"}}]),
    ]);
    (prop::collection::vec(rule, 0..8), after).prop_map(|(rules, after_hours)| {
        let day = json!([{"from": "09:00", "to": "17:30"}]);
        let rules = rules.into_iter().enumerate().map(|(n, (priority, enabled, when, action))| {
            json!({"name": format!("r{n}"), "priority": priority, "enabled": enabled, "when": when, "action": action})
        });
        serde_json::from_value(json!({
            "calendars": {"office": {"time_zone": "Europe/Berlin",
                "weekly": {"monday": day, "tuesday": day, "wednesday": day, "thursday": day, "friday": day},
                "holidays": [{"name": "Christmas", "date": "12-25"}]}},
            "lists": {"vip": {"numbers": ["+353861234567"]}},
            "rules": rules.collect::<Vec<_>>(),
            "after_hours": after_hours,
        }))
        .unwrap()
    })
}

fn any_text() -> impl Strategy<Value = crate::facts::Text> {
    let words = prop::collection::vec(
        prop::sample::select(["sales", "HELP", "Yes!", "no", "way", "please"].to_vec()),
        0..4,
    );
    let to = prop::sample::select(vec![OURS, "72345", "+14155550199"]);
    let from = prop::sample::select(vec!["+353861234567", "+493012345678"]);
    let language = prop::sample::select(vec!["en", "de-AT", "fr"]);
    let held = prop_oneof![3 => Just(None), 1 => Just(Some(None)), 1 => Just(Some(Some("C")))];
    (
        words,
        to,
        from,
        language,
        prop::sample::select(TIMES.to_vec()),
        held,
    )
        .prop_map(|(words, to, from, language, now, held)| {
            let made = text(&words.join(" "))
                .to(to)
                .from(from)
                .speaking(language)
                .at(now);
            match held {
                None => made,
                Some(skillset) => made.held("office", skillset),
            }
        })
}

/// The rules read once more, without anything made ready.
fn plainly(settings: &RoutingSettings, text: &crate::facts::Text) -> Option<String> {
    let (open, holiday) = match TIMES.iter().position(|time| at(time) == text.now).unwrap() {
        0 | 2 => (true, false),
        1 => (false, false),
        _ => (false, true),
    };
    let words: Vec<String> = text
        .text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_lowercase)
        .collect();
    let document = serde_json::to_value(settings).unwrap();
    let mut rules: Vec<&Value> = document["rules"].as_array().unwrap().iter().collect();
    rules.sort_by_key(|rule| rule["priority"].as_u64().unwrap());
    let strings = |list: &Value| -> Vec<String> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|s| s.as_str().unwrap().to_owned())
            .collect()
    };
    let found = rules.into_iter().find(|rule| {
        let when = &rule["when"];
        let numbers = strings(&when["numbers"]);
        let keyword = &when["keyword"];
        let has_keyword = || {
            strings(&keyword["any_of"]).iter().any(|keyword_words| {
                let wanted: Vec<_> = keyword_words.split(' ').map(str::to_owned).collect();
                match keyword["match"].as_str().unwrap() {
                    "first_word" => words.starts_with(&wanted),
                    _ => words.windows(wanted.len()).any(|some| some == wanted),
                }
            })
        };
        let languages = strings(&when["languages"]);
        let list = &when["list"];
        rule["enabled"] == true
            && (text.held.is_none() || rule["action"]["reply"].is_null())
            && (numbers.is_empty() || numbers.iter().any(|n| n == text.to.as_str()))
            && (keyword.is_null() || has_keyword())
            && match when["time"]["is"].as_str() {
                None => true,
                Some("open") => open,
                Some("closed") => !open,
                _ => holiday,
            }
            && (languages.is_empty() || languages.iter().any(|tag| text.language[..2] == *tag))
            && (list.is_null() || (list["is"] == "in") == (text.from.as_str() == "+353861234567"))
    });
    found.map(|rule| rule["name"].as_str().unwrap().to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn decision_explanation_and_a_plain_reading_agree(settings in document(), text in any_text()) {
        let router = Router::new(&settings).unwrap();
        let decision = text.with(|facts| router.decide(facts));
        let explained = text.explained(&router);
        prop_assert_eq!(&explained.decision, &decision);
        prop_assert_eq!(explained.rules.len(), settings.rules.len());
        // At most one decides, the first that matches, and it is the one that the decision names.
        let deciding: Vec<_> = explained.rules.iter().filter(|r| r.outcome == Outcome::Decides).map(|r| &r.name).collect();
        prop_assert_eq!(deciding, decision.rule.iter().collect::<Vec<_>>());
        let order: Vec<_> = explained.rules.iter().map(|r| r.priority).collect();
        prop_assert!(order.is_sorted());
        for rule in &explained.rules {
            let matched = rule.conditions.iter().all(|c| c.matched);
            match rule.outcome {
                Outcome::Decides | Outcome::TooLate | Outcome::Over => prop_assert!(matched, "{:?}", rule),
                Outcome::NoMatch => prop_assert!(!matched, "{:?}", rule),
                Outcome::Disabled => {}
            }
        }
        let open = router.calendar("office").unwrap().is_open(text.now);
        let settled = text.held.as_ref().is_some_and(|(_, skillset)| !open || skillset.is_some());
        if !settled {
            prop_assert_eq!(&decision.rule, &plainly(&settings, &text));
        }
        // Nothing is said twice, and nothing is kept while it is open.
        match &decision.action {
            Action::HoldUntil { reply, at, .. } => {
                prop_assert_eq!(reply.is_some(), text.held.is_none());
                prop_assert!(!open && at.is_some_and(|at| at > text.now));
            }
            Action::Reply { then, .. } => {
                prop_assert!(text.held.is_none());
                prop_assert!(open || *then == Then::Done || !settings.after_hours.iter().any(|a| a.hold) || decision.rule.is_some());
            }
            _ => {}
        }
    }

    /// What was kept comes out: decided again at its time, it goes to agents.
    #[test]
    fn nothing_is_kept_for_ever(settings in document(), text in any_text()) {
        let router = Router::new(&settings).unwrap();
        let mut text = text;
        let first = text.with(|facts| router.decide(facts)).action;
        let comes_to = text.with(|facts| router.comes_to(&first, facts));
        if let Action::HoldUntil { at, calendar, skillset, .. } = first {
            text.now = at.unwrap();
            text.held = Some((calendar, skillset));
            let then = text.with(|facts| router.decide(facts)).action;
            prop_assert!(!matches!(then, Action::HoldUntil { .. } | Action::Reply { .. }), "{:?}", then);
            prop_assert_eq!(comes_to, text.with(|facts| router.comes_to(&then, facts)));
        }
    }
}
