//! What is wrong with a document is said before anything is done, and nobody is overwritten.

use crate::document::{DOCUMENT, Scene};
use ccm_auth::Role;
use serde_json::json;
use std::{fs::OpenOptions, io::Write, process::Command};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_range_or_refers_to_nothing_is_said_with_its_line() {
    let scene = Scene::set().await;
    let refused = async |document: &str, line: usize, words: &str| {
        for verb in ["diff", "apply"] {
            let line_of = if verb == "apply" { &["--dry-run"][..] } else { &[] };
            let ended = scene.run(verb, document, line_of).await;
            assert!(
                ended.code == 2 && ended.err.contains(&format!("line {line}: ")) && ended.err.contains(words),
                "{verb} {words}: {} {}",
                ended.code,
                ended.err
            );
        }
    };
    let number = "apiVersion: ccm/v1\nslug: initech\nnumbers:\n  - {address: +14155550177, account: nope, skillset: WC_Sales}\n";
    refused(number, 4, "there is no \"nope\": the tenant is to be made").await;
    scene.run("apply", DOCUMENT, &["--yes"]).await.ok();
    let there = number.replace("initech", "globex");
    refused(&there, 4, "among the tenant's accounts, none is \"nope\"").await;
    refused(
        &there.replace("nope", "Twilio mian"),
        4,
        "is \"Twilio main\" meant?",
    )
    .await;
    // The lists that are not in the document have it.
    let good = there
        .replace("nope", "Twilio main")
        .replace("WC_Sales", "WC_Nope");
    refused(&good, 4, "among the tenant's skillsets, none is \"WC_Nope\"").await;
    let good = scene.run("diff", &good.replace("WC_Nope", "WC_Sales"), &[]).await;
    assert!(
        good.out.contains("~ number +14155550177"),
        "{}{}",
        good.out,
        good.err
    );

    let head = "apiVersion: ccm/v1\nslug: initech\n";
    for (rest, line, words) in [
        ("caps: {daily_mt_segments: -1}\n", 3, "-1 is less than 0"),
        (
            "chat_settings:\n  life:\n    max_age_s: 1\n",
            5,
            "1 is less than 300",
        ),
        (
            "chat_settings: {life: {max_age_s: 99999999999}}\n",
            3,
            "99999999999 is more than 2592000",
        ),
        ("chat_settings: {waiting_after_s: ~}\n", 3, "is no whole number"),
        (
            "chat_settings: {language: e}\n",
            3,
            "it has 1 characters, and 2 are needed",
        ),
        (
            "skillsets:\n  - {name: '', link: AACC}\n",
            4,
            "there is nothing in it",
        ),
        (
            "routing:\n  calendars:\n    office: {time_zone: Europe/Berlin, weekly: {monday: [{from: '9:00', to: '17:30'}]}}\n",
            5,
            "it is not written as",
        ),
        (
            "routing: {calendars: {office: {time_zone: UTC, holidays: [{date: 12-25}]}}}\n",
            3,
            "name is missing here",
        ),
        (
            "links:\n  - name: AACC\n    url: wss://aacc.example.com\n    maintenance_windows:\n      - {begins_at: tomorrow, \
             ends_at: 2099-03-02T02:00:00+01:00, reason: x}\n",
            7,
            "it is no time such as",
        ),
        ("numbers: []\n", 2, "it is not written as"),
    ] {
        let head = if rest == "numbers: []\n" {
            head.replace("initech", "Initech!")
        } else {
            head.to_owned()
        };
        refused(&format!("{head}{rest}"), line, words).await;
    }
    let many: String = (0..17).map(|n| format!("192.0.2.{n}, ")).collect();
    let many = format!("{head}links:\n  - {{name: A, url: wss://a.example, addresses: [{many}]}}\n");
    refused(&many, 4, "it has 17 items, and may have 16").await;
}

/// What `ccmctl` waits for in the middle of a plan, when it has read what is there.
struct Gate(std::path::PathBuf);

impl Gate {
    fn new(scene: &Scene) -> Self {
        let path = scene.rig.folder.path().join("gate");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Self(path)
    }

    /// Returns when somebody reads.
    async fn reached(&self) -> std::fs::File {
        let path = self.0.clone();
        let opened = tokio::task::spawn_blocking(move || OpenOptions::new().write(true).open(path));
        opened.await.unwrap().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_changed_since_the_plan_is_not_overwritten() {
    let scene = Scene::set().await;
    scene.run("apply", DOCUMENT, &["--yes"]).await.ok();
    let gate = Gate::new(&scene);
    let account = "accounts:\n  - {name: Gate, kind: http, settings: {send_url: https://sms.example.com/send}, \
                   secret: {signing_secret: {file: gate}}}\n";
    let change = async |document: &str, line: &[&str], meanwhile: &[&str]| {
        let (ended, ()) = tokio::join!(scene.run("apply", document, line), async {
            let mut opened = gate.reached().await;
            scene.rig.run(meanwhile).await.ok();
            opened.write_all(b"simulators-share-this-secret").unwrap();
        });
        ended
    };
    let rename = format!("apiVersion: ccm/v1\nslug: globex\nname: Globex AG\n{account}");
    let meanwhile = ["tenant", "update", "--tenant", "globex", "--name", "Globex plc"];
    let ended = change(&rename, &["--yes"], &meanwhile).await;
    assert_eq!(ended.code, 7, "{}{}", ended.out, ended.err);
    assert!(
        ended.out.contains("FAILED: tenant globex") && ended.err.contains("Somebody has changed this tenant"),
        "{}{}",
        ended.out,
        ended.err
    );
    let name =
        || async { scene.rig.run(&["tenant", "get", "globex", "--json"]).await.json()["name"].clone() };
    assert_eq!(name().await, "Globex plc");

    let prune = format!(
        "apiVersion: ccm/v1\nslug: globex\nskillsets:\n  - {{name: WC_Sales, link: AACC Dublin}}\n{account}"
    );
    scene
        .rig
        .run(&[
            "skillsets",
            "create",
            "--tenant",
            "globex",
            "--name",
            "WC_Old",
            "--link-id",
            "AACC Dublin",
        ])
        .await
        .ok();
    let used = [
        "skillsets",
        "update",
        "--tenant",
        "globex",
        "WC_Old",
        "--name",
        "WC_New",
    ];
    let list = prune.replace(account, &format!(
        "{}  - {{name: Twilio main, kind: twilio, settings: {{account_sid: AC0123456789abcdef0123456789abcdef}}, rules: {{segments_per_second: 80}}}}\n  \
         - {{name: Generic, kind: http, settings: {{send_url: https://sms.example.com/send}}}}\n",
        account
    ));
    let ended = change(&list, &["--yes", "--prune"], &used).await;
    assert_eq!(ended.code, 7, "{}{}", ended.out, ended.err);
    assert!(
        ended.out.contains("FAILED: skillset WC_Old"),
        "{}{}",
        ended.out,
        ended.err
    );
    let kept = scene
        .rig
        .run(&["skillsets", "list", "--tenant", "globex", "--json"])
        .await
        .json();
    assert!(
        kept["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|item| item["name"] == "WC_New"),
        "{kept}"
    );

    // What somebody has removed already is gone, as it was to be.
    let gone = list.replace("name: Gate", "name: Gate 2");
    let remove = ["skillsets", "delete", "--tenant", "globex", "WC_New"];
    let ended = change(&gone, &["--yes", "--prune"], &remove).await;
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
}

/// Support is not shown customers' numbers: a document of theirs says so, and changes nothing of them.
#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_withheld_stay_as_they_are() {
    let scene = Scene::set().await;
    let listed = DOCUMENT.replace(
        "routing:\n",
        "routing:\n  lists: {vip: {numbers: [+353861234567]}}\n",
    );
    scene.run("apply", &listed, &["--yes"]).await.ok();
    let support = scene.rig.token(Role::Support);
    let exported = scene
        .rig
        .run_with(&["tenant", "export", "globex"], &support, "")
        .await;
    assert_eq!(exported.code, 0);
    for words in [
        "routing.lists.vip is withheld",
        "do: export with the token of an engineer",
    ] {
        assert!(exported.err.contains(words), "{}", exported.err);
    }
    assert!(!exported.out.contains("353861234567"), "{}", exported.out);
    assert!(
        scene
            .rig
            .run(&["tenant", "export", "globex"])
            .await
            .ok()
            .contains("353861234567")
    );

    let document = exported.out;
    assert_eq!(
        scene.run("diff", &document, &[]).await.ok(),
        "globex: nothing to change\n"
    );
    let file = scene.rig.file("support.yaml", &document);
    let diff = ["tenant", "diff", "-f", file.to_str().unwrap()];
    assert_eq!(
        scene.rig.run_with(&diff, &support, "").await.ok(),
        "globex: nothing to change\n"
    );
    // Something else beside them is changed, and they stay.
    let changed = document.replace("Morgen wieder.", "Ab morgen wieder.");
    scene.run("apply", &changed, &["--yes"]).await.ok();
    let routing = scene
        .rig
        .run(&["routing", "get", "--tenant", "globex", "--json"])
        .await
        .json();
    assert_eq!(routing["lists"]["vip"]["numbers"], json!(["+353861234567"]));
    assert!(routing.to_string().contains("Ab morgen wieder."));
    let elsewhere = document
        .replace("slug: globex", "slug: initech")
        .replace("GLOBEX_TWILIO_MAIN_AUTH_TOKEN", "GLOBEX_TOKEN");
    let refused = scene
        .run(
            "apply",
            &elsewhere.replace("{env: GLOBEX_GENERIC_SIGNING_SECRET}", "{file: signing}"),
            &["--yes"],
        )
        .await;
    assert!(refused.code == 2, "{}{}", refused.out, refused.err);
    let part = "apiVersion: ccm/v1\nslug: initech\nrouting: {lists: {vip: {withheld: true}}}\n";
    let refused = scene.run("diff", part, &[]).await;
    assert!(
        refused.code == 2 && refused.err.contains("lists.vip"),
        "{}",
        refused.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_chain_of_the_audit_is_not_as_it_should_be() {
    let scene = Scene::set().await;
    let rig = &scene.rig;
    let verify = ["audit", "verify", "--tenant", "acme-bank"];
    let whole = rig.run(&[&verify[..], &["--json"]].concat()).await.json();
    assert_eq!(whole["intact"], true);
    let (seq, head) = (
        whole["seq"].to_string(),
        whole["head"].as_str().unwrap().to_owned(),
    );
    let known = [&verify[..], &["--seq", &seq, "--hash", &head]].concat();
    rig.run(&known).await.ok();
    let sql = format!(
        "BEGIN; SET LOCAL session_replication_role = replica;
         DELETE FROM audit_entry WHERE tenant_id = '{}' AND seq = 2; COMMIT",
        rig.tenant
    );
    rig.database.superuser_sql(&sql).unwrap();
    for line in [&verify[..], &known] {
        let broken = rig.run(line).await;
        assert_eq!(broken.code, 9, "{}{}", broken.out, broken.err);
        assert!(
            broken.out.contains("missing") && broken.err.contains("the chain is broken"),
            "{}{}",
            broken.out,
            broken.err
        );
    }
}
