use crate::rig::{CUSTOMER, OURS, Rig};
use ccm_auth::Role;
use ccm_db::{ConsentChange, ConsentSource};
use serde_json::json;
use std::fs;

const TENANT: [&str; 2] = ["--tenant", "acme-bank"];

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_replayed_and_discarded() {
    let rig = Rig::start().await;
    let (first, conversation) = rig.refused("one\u{1b}[2J").await;
    let (second, _) = rig.refused("two").await;
    let letters = async |line: &[&str]| rig.run(&[&["dead-letters"], line, &TENANT].concat()).await;

    let table = letters(&["list"]).await.ok();
    let lines: Vec<_> = table.lines().collect();
    assert!(
        lines[0].starts_with("ID ") && lines[0].contains("CUSTOMER"),
        "{table}"
    );
    assert!(
        lines[1].starts_with(&second) && lines[2].starts_with(&first),
        "the newest first: {table}"
    );
    assert!(
        lines[1].contains(CUSTOMER) && lines[1].contains("refused"),
        "{table}"
    );
    let cut = letters(&["list", "--limit", "1", "--kind", "mo", "--code", "refused"])
        .await
        .ok();
    assert!(
        cut.ends_with("there are more; ask with a larger --limit\n"),
        "{cut}"
    );
    let json = letters(&["list", "--json"]).await.json();
    assert_eq!(json["items"][0]["id"], second);

    let shown = letters(&["show", &first]).await.ok();
    assert!(
        shown.contains("one\\u{1b}[2J") && !shown.contains('\u{1b}'),
        "{shown:?}"
    );
    assert_eq!(
        letters(&["show", &first, "--json"]).await.json()["text"],
        "one\u{1b}[2J"
    );

    let file = rig.file("text", "mended\n");
    let replayed = letters(&["replay", &first, "--text-file", file.to_str().unwrap(), "--json"])
        .await
        .json();
    assert_eq!(replayed["conversation_id"], conversation.to_string());
    let waiting = rig
        .db
        .tenant(rig.tenant)
        .pending_texts(conversation, 2, 10)
        .await
        .unwrap();
    assert_eq!(waiting.last().unwrap().body.as_str(), "mended");

    assert_eq!(letters(&["discard", &second]).await.ok(), "1 discarded\n");
    let partly = letters(&["discard", &second, &first]).await;
    assert_eq!(partly.code, 4);
    assert!(
        partly.out.starts_with("0 discarded\nnot done:\nID "),
        "{}",
        partly.out
    );
    assert!(partly.err.contains("2 not done"), "{}", partly.err);
    assert_eq!(letters(&["list"]).await.ok().lines().count(), 1, "names alone");
    assert_eq!(letters(&["list", "--all"]).await.ok().lines().count(), 3);

    let again = letters(&["replay", &first]).await;
    assert_eq!(again.code, 4);
    assert!(again.out.contains("resolved"), "{}", again.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_replayed_by_their_code() {
    let rig = Rig::start().await;
    let mut conversation = None;
    for n in 0..5 {
        conversation = Some(rig.refused(&format!("text {n}")).await.1);
    }
    let replay = async |line: &[&str]| {
        rig.run(&[&["dead-letters", "replay"], line, &TENANT].concat())
            .await
    };
    assert_eq!(
        replay(&["--code", "refused", "--limit", "2"]).await.ok(),
        "2 replayed\n"
    );
    assert_eq!(
        replay(&["--code", "refused", "--before", "2001-01-01T00:00:00Z"])
            .await
            .ok(),
        "0 replayed\n"
    );
    let rest = replay(&["--code", "refused", "--kind", "mo", "--json"])
        .await
        .json();
    assert_eq!(rest, json!({"replayed": 3, "failed": []}));
    let rows = rig.db.tenant(rig.tenant);
    let waiting = rows.pending_texts(conversation.unwrap(), 5, 10).await.unwrap();
    let bodies: Vec<_> = waiting.iter().map(|text| text.body.as_str()).collect();
    assert_eq!(bodies, ["text 0", "text 1", "text 2", "text 3", "text 4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn opt_outs_are_listed_and_proven() {
    let rig = Rig::start().await;
    let change = ConsentChange {
        event: rig.ids.next(),
        our_address: &OURS.parse().unwrap(),
        customer_address: &CUSTOMER.parse().unwrap(),
        opted_out: true,
        source: ConsentSource::Keyword,
        message: None,
        evidence: Some("Stop, please"),
        at: rig.ids.clock().now(),
    };
    rig.db.tenant(rig.tenant).change_consent(&change).await.unwrap();
    let table = rig.run(&[&["opt-outs", "list"], &TENANT[..]].concat()).await.ok();
    assert!(
        table.starts_with("NUMBER        CUSTOMER       SOURCE"),
        "{table}"
    );
    assert!(table.contains(&format!("{OURS}  {CUSTOMER}  keyword")), "{table}");

    let printed = rig
        .run(&[&["opt-outs", "export"], &TENANT[..]].concat())
        .await
        .ok();
    assert!(printed.starts_with("id,at,kind,"), "{printed}");
    assert!(printed.ends_with(",\"Stop, please\"\r\n"), "{printed}");
    let file = rig.folder.path().join("proof.csv");
    let export = [
        "opt-outs",
        "export",
        "--customer",
        CUSTOMER,
        "-o",
        file.to_str().unwrap(),
    ];
    rig.run(&[&export, &TENANT[..]].concat()).await.ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), printed);
    let again = rig.run(&[&export, &TENANT[..]].concat()).await;
    assert_eq!(again.code, 2, "nothing is overwritten");
    assert!(again.err.contains("proof.csv"), "{}", again.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_suspended_and_goes_on() {
    let rig = Rig::start().await;
    let tenant = rig.tenant.to_string();
    let shown = rig
        .run(&["tenant", "suspend", "acme-bank", "--reason", "moves"])
        .await
        .ok();
    assert!(shown.contains("suspended") && shown.contains("mary"), "{shown}");
    let row = rig.db.tenant(rig.tenant).tenant().await.unwrap();
    assert_eq!(
        (row.state.as_str(), row.state_reason.as_deref()),
        ("suspended", Some("moves"))
    );
    let now = rig
        .run(&["--json", "tenant", "resume", &tenant, "--reason", "has moved"])
        .await
        .json();
    assert_eq!(
        (&now["state"], &now["state_reason"]),
        (&json!("active"), &json!("has moved"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_said_with_what_to_do() {
    let rig = Rig::start().await;
    let list = ["dead-letters", "list", "--tenant", "acme-bank"];
    let nobody = "00000000-0000-7000-8000-000000000000";

    let refused = rig
        .run(&["dead-letters", "show", nobody, "--tenant", "acme-bank"])
        .await;
    assert_eq!((refused.code, refused.out.as_str()), (6, ""));
    for part in ["ccmctl: There is no such thing here", "  do: ", "  request: "] {
        assert!(refused.err.contains(part), "{}", refused.err);
    }
    let named = rig.run(&["dead-letters", "list", "--tenant", "nobody"]).await;
    assert_eq!(named.code, 6);
    assert!(named.err.contains("slug"), "{}", named.err);
    let support = rig.token(Role::Support);
    let forbidden = rig
        .run_with(&["tenant", "suspend", "acme-bank", "--reason", "x"], &support, "")
        .await;
    assert_eq!(forbidden.code, 5);
    assert!(forbidden.err.contains("engineer"), "{}", forbidden.err);
    let withheld = rig.run_with(&list, &support, "").await.ok();
    assert_eq!(withheld.lines().count(), 1);

    for token in ["", "not a token"] {
        let none = rig.run_with(&list, token, "").await;
        assert_eq!(none.code, 2, "{}", none.err);
        assert!(none.err.contains("ccm token"), "{}", none.err);
    }
    let bad = rig.run_with(&list, "no.good.token", "").await;
    assert_eq!(bad.code, 5, "{}", bad.err);
    let file = rig.file("token", &format!("{}\n", rig.token(Role::Engineer)));
    let from_file = [&list[..], &["--token-file", file.to_str().unwrap()]].concat();
    rig.run_with(&from_file, "no.good.token", "").await.ok();

    let away = rig
        .run(&[&list[..], &["--url", "http://127.0.0.1:9"]].concat())
        .await;
    assert_eq!(away.code, 3, "{}", away.err);
    assert!(away.err.contains("cannot be reached"), "{}", away.err);
    for url in ["http://ccm.example.com", "ftp://127.0.0.1", "nowhere"] {
        let wrong = rig.run(&[&list[..], &["--url", url]].concat()).await;
        assert_eq!(wrong.code, 2, "{}", wrong.err);
    }
    for line in [
        &["dead-letters", "list"][..],
        &["dead-letters", "replay", "--tenant", "acme-bank"],
        &[
            "dead-letters",
            "replay",
            nobody,
            "--code",
            "x",
            "--tenant",
            "acme-bank",
        ],
        &[
            "dead-letters",
            "replay",
            nobody,
            nobody,
            "--number",
            nobody,
            "--tenant",
            "acme-bank",
        ],
        &["dead-letters", "show", "x", "--tenant", "acme-bank"],
        &["tenant", "suspend", "acme-bank"],
    ] {
        assert_eq!(rig.run(line).await.code, 2, "{line:?}");
    }
}
