use crate::rig::{OURS, Rig};
use ccm_auth::Role;
use serde_json::{Value, json};
use std::fs;

const TENANT: [&str; 2] = ["--tenant", "acme-bank"];

async fn run(rig: &Rig, line: &[&str]) -> crate::rig::Ended {
    rig.run(&[line, &TENANT].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn things_are_made_by_flags_by_files_and_by_names() {
    let rig = Rig::start().await;
    let made = run(
        &rig,
        &[
            "skillsets",
            "create",
            "--name",
            "WC_Sales",
            "--link-id",
            "aacc",
            "--json",
        ],
    )
    .await
    .json();
    assert_eq!(made["name"], "WC_Sales");

    let secret = rig.file("auth-token", "0123456789abcdef0123456789abcdef\n");
    let secret = format!("@{}", secret.display());
    let account = [
        "accounts",
        "create",
        "--name",
        "Twilio main",
        "--kind",
        "twilio",
        "--settings.account-sid",
        "AC0123456789abcdef0123456789abcdef",
        "--rules.segments-per-second",
        "80",
        "--secret.auth-token",
        &secret,
        "--json",
    ];
    let account = run(&rig, &account).await.json();
    assert_eq!(account["rules"]["segments_per_second"], 80.0);

    let body = rig.file(
        "number.yaml",
        "address: +14155550199\naccount_id: Twilio main\nskillset_id: WC_Default_Skillset\n",
    );
    let number = [
        "numbers",
        "create",
        "-f",
        body.to_str().unwrap(),
        "--skillset-id",
        "WC_Sales",
        "--json",
    ];
    let number = run(&rig, &number).await.json();
    assert_eq!(
        (&number["address"], &number["skillset_id"]),
        (&json!("+14155550199"), &made["id"])
    );
    let changed = run(
        &rig,
        &[
            "numbers",
            "update",
            "+14155550199",
            "--per-second",
            "2.5",
            "--json",
        ],
    )
    .await
    .json();
    assert_eq!(changed["per_second"], 2.5);
    let back = run(
        &rig,
        &[
            "numbers",
            "update",
            "+14155550199",
            "--set",
            "per_second=null",
            "--json",
        ],
    )
    .await
    .json();
    assert_eq!(back["per_second"], 1.0);

    let listed = run(&rig, &["numbers", "list"]).await.ok();
    let lines: Vec<_> = listed.lines().collect();
    assert!(
        lines[0].starts_with("ID ") && lines[0].contains("ADDRESS"),
        "{listed}"
    );
    assert!(
        lines.len() == 3 && listed.contains(OURS) && listed.contains("+14155550199"),
        "{listed}"
    );

    let window = [
        "links",
        "maintenance-windows",
        "create",
        "aacc",
        "--begins-at",
        "2099-03-01T22:00:00Z",
        "--ends-at",
        "2099-03-02T02:00:00Z",
        "--reason",
        "AACC patch",
        "--json",
    ];
    let window = run(&rig, &window).await.json();
    let delete = [
        "links",
        "maintenance-windows",
        "delete",
        "aacc",
        window["id"].as_str().unwrap(),
    ];
    assert_eq!(run(&rig, &delete).await.ok(), "");
    let state = run(&rig, &["links", "state", "aacc"]).await.ok();
    assert!(state.contains("state              unknown\n"), "{state}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_changed_in_part_and_nobody_is_overwritten() {
    let rig = Rig::start().await;
    let update = [
        "chat-settings",
        "update",
        "--language",
        "de",
        "--queue.min-gap-s",
        "300",
    ];
    let said = run(&rig, &update).await.ok();
    assert_eq!(said, "language: en → de\nqueue.min_gap_s: 120 → 300\n");
    run(&rig, &["chat-settings", "update", "--welcome=false"])
        .await
        .ok();
    let now = run(&rig, &["chat-settings", "get", "--json"]).await.json();
    assert_eq!(
        (&now["language"], &now["queue"]["min_gap_s"], &now["welcome"]),
        (&json!("de"), &json!(300), &json!(false))
    );
    let shown = run(&rig, &["chat-settings", "get"]).await.ok();
    assert!(
        shown.contains("language: de\n") && shown.contains("queue:\n"),
        "{shown}"
    );

    let whole = rig.file("chat.yaml", "language: fr\n");
    let replace = ["chat-settings", "replace", "-f", whole.to_str().unwrap()];
    let stale = run(&rig, &[&replace[..], &["--if-match", "\"stale\""]].concat()).await;
    assert_eq!(stale.code, 7, "{}", stale.err);
    run(&rig, &replace).await.ok();
    let now = run(&rig, &["chat-settings", "get", "--json"]).await.json();
    assert_eq!((&now["language"], &now["welcome"]), (&json!("fr"), &json!(true)));

    let refused = run(&rig, &["chat-settings", "update", "--queue.min-gap-s", "1"]).await;
    assert_eq!(refused.code, 8, "{}", refused.err);
    for part in ["field: queue.min_gap_s", "  do: ", "  request: "] {
        assert!(refused.err.contains(part), "{}", refused.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_and_all_of_them_line_by_line() {
    let rig = Rig::start().await;
    for n in 0..4 {
        rig.refused(&format!("text {n}")).await;
    }
    for n in 0..3 {
        let slug = format!("tenant-{n}");
        rig.run(&["tenant", "create", "--slug", &slug, "--name", "One more"])
            .await
            .ok();
    }
    let some = rig.run(&["tenant", "list", "--limit", "2"]).await.ok();
    assert!(
        some.lines().count() == 4 && some.ends_with("there are more; ask with a larger --limit\n"),
        "{some}"
    );
    let all = rig.run(&["tenant", "list", "--all", "--json"]).await.ok();
    let slugs: Vec<Value> = all
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["slug"].clone())
        .collect();
    assert_eq!(slugs.len(), 4, "{all}");
    assert_eq!(
        rig.run(&["tenant", "list", "--all"]).await.ok().lines().count(),
        5
    );

    let conversations = run(&rig, &["conversations", "list", "--json"]).await.json();
    let id = conversations["items"][0]["id"].as_str().unwrap();
    let texts = run(
        &rig,
        &["conversations", "messages", "list", id, "--limit", "3", "--json"],
    )
    .await
    .json();
    assert_eq!(
        (texts["items"].as_array().unwrap().len(), &texts["next_after"]),
        (3, &json!(3))
    );
    let all = run(
        &rig,
        &["conversations", "messages", "list", id, "--all", "--json"],
    )
    .await
    .ok();
    assert_eq!(all.lines().count(), 4, "{all}");

    let file = rig.folder.path().join("consent.csv");
    run(
        &rig,
        &["consent-events", "list", "--csv", "-o", file.to_str().unwrap()],
    )
    .await
    .ok();
    assert!(fs::read_to_string(file).unwrap().starts_with("id,at,kind,"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_before_anything_is_asked() {
    let rig = Rig::start().await;
    let bad = rig.file("bad.yaml", "address: +14155550199\nper_second: fast\n");
    for (line, code, words) in [
        (&["links", "create", "--name", "x"][..], 2, "missing: --url"),
        (&["numbers", "update", OURS], 2, "not said what is to change"),
        (
            &["numbers", "create", "-f", bad.to_str().unwrap()],
            2,
            "line 2: \"fast\" is no number",
        ),
        (&["numbers", "create", "-f", "/nowhere"], 2, "cannot be read"),
        (
            &["auth-keys", "create", "--name", "x", "--key", "0123456789abcdef"],
            2,
            "others can read a command line",
        ),
        (&["links", "state", "aaccc"], 6, "as it is called: aacc"),
        (
            &["skillsets", "create", "--name", "WC_X", "--link-id", "none"],
            6,
            "Among links, none is \"none\"",
        ),
        (
            &["accounts", "create", "--kind", "pigeon", "--name", "x"],
            2,
            "possible values: twilio, http",
        ),
        (
            &[
                "skillsets",
                "create",
                "--name",
                "WC_Default_Skillset",
                "--link-id",
                "aacc",
            ],
            7,
            "exists",
        ),
    ] {
        let ended = run(&rig, line).await;
        assert!(
            ended.code == code && ended.err.contains(words),
            "{line:?}: {} {}",
            ended.code,
            ended.err
        );
    }
    let support = rig.token(Role::Support);
    let line = [
        &["links", "create", "--name", "x", "--url", "wss://x.example"],
        &TENANT[..],
    ]
    .concat();
    assert_eq!(rig.run_with(&line, &support, "").await.code, 5);
}
