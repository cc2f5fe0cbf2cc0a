use crate::rig::{Ended, Rig};
use ccm_auth::Role;
use serde_json::json;
use std::fs;

const TOKEN: &str = "fedcba9876543210fedcba9876543210";

pub const DOCUMENT: &str = "\
apiVersion: ccm/v1
slug: globex
name: Globex
accounts:
  - name: Twilio main
    kind: twilio
    settings: {account_sid: AC0123456789abcdef0123456789abcdef}
    rules: {segments_per_second: 80}
    secret: {auth_token: {env: GLOBEX_TOKEN}}
  - name: Generic
    kind: http
    settings: {send_url: https://sms.example.com/send}
    secret: {signing_secret: {file: signing}}
links:
  - name: AACC Dublin
    url: wss://aacc.example.com:8445
    proxy_url: http://proxy.example.com:3128
    maintenance_windows:
      - {begins_at: 2099-03-01T22:00:00+01:00, ends_at: 2099-03-02T02:00:00+01:00, reason: AACC patch}
skillsets:
  - {name: WC_Sales, link: AACC Dublin}
numbers:
  - {address: +1 415 555 0177, account: Twilio main, second_account: Generic, skillset: WC_Sales}
templates:
  - {name: Greeting, scope: tenant, language: en, text: 'Hello {caller}!'}
  - {name: Greeting, scope: tenant, language: de, text: 'Hallo {caller}!'}
  - {name: Greeting, scope: skillset, skillset: WC_Sales, text: Thank you for calling sales.}
chat_settings:
  language: de
  notices: {waiting: {de: Gleich!, en: In a moment.}}
routing:
  calendars:
    office: {time_zone: Europe/Berlin, weekly: {monday: [{from: '09:00', to: '17:30'}]}}
  after_hours:
    - {calendar: office, reply: {de: Morgen wieder.}}
";

pub struct Scene {
    pub rig: Rig,
    token: String,
}

impl Scene {
    pub async fn set() -> Self {
        let rig = Rig::start().await;
        rig.file("signing", "simulators-share-this-secret\n");
        let token = rig.token(Role::Engineer);
        Self { rig, token }
    }

    pub async fn run(&self, verb: &str, text: &str, line: &[&str]) -> Ended {
        let file = self.rig.file("tenant.yaml", text);
        let env = [
            ("CCMCTL_URL", self.rig.url.as_str()),
            ("CCMCTL_TOKEN", &self.token),
            ("GLOBEX_TOKEN", TOKEN),
            ("GLOBEX_PROXY", "http://ann:bee@proxy.example.net:3128"),
        ];
        let line = [&["tenant", verb, "-f", file.to_str().unwrap()], line].concat();
        self.rig.run_in(&line, &env, "").await
    }

    pub async fn export(&self, tenant: &str) -> String {
        self.rig.run(&["tenant", "export", tenant]).await.ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_makes_a_tenant_and_then_changes_nothing() {
    let scene = Scene::set().await;
    let diff = scene.run("diff", DOCUMENT, &[]).await;
    assert_eq!(diff.code, 9, "{}", diff.err);
    for line in [
        "+ tenant globex\n",
        "+ number +14155550177\n",
        "auth_token",
        "~ settings chat_settings\n",
        "10 to make, 2 to change",
    ] {
        assert!(diff.out.contains(line), "{line}: {}", diff.out);
    }
    assert!(!diff.out.contains(TOKEN), "no secret is shown: {}", diff.out);
    let dry = scene.run("apply", DOCUMENT, &["--dry-run"]).await.ok();
    assert_eq!(dry, diff.out);
    let asked = scene.run("apply", DOCUMENT, &[]).await;
    assert_eq!(
        (asked.code, asked.err.contains("--yes")),
        (2, true),
        "nobody is there: {}",
        asked.err
    );

    let applied = scene.run("apply", DOCUMENT, &["--yes"]).await;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert!(applied.out.ends_with("all 12 done\n"), "{}", applied.out);
    for verb in ["diff", "apply"] {
        let again = scene.run(verb, DOCUMENT, &["--prune"]).await.ok();
        assert_eq!(again, "globex: nothing to change\n");
    }

    // What is exported is the same tenant, and makes it anew elsewhere.
    let exported = scene.export("globex").await;
    assert!(
        exported
            .starts_with("apiVersion: ccm/v1\nslug: globex\nname: Globex\naccounts:\n  - name: Generic\n")
            && exported.contains("    account: Twilio main\n")
            && exported.contains("env: GLOBEX_TWILIO_MAIN_AUTH_TOKEN"),
        "{exported}"
    );
    assert!(
        !exported.contains("_id:") && !exported.contains(TOKEN),
        "{exported}"
    );
    let same = scene.run("diff", &exported, &["--prune"]).await.ok();
    assert_eq!(same, "globex: nothing to change\n");
    let json = scene
        .rig
        .run(&["tenant", "export", "globex", "--json"])
        .await
        .json();
    assert_eq!(json["numbers"][0]["second_account"], "Generic");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_is_changed_and_what_is_not_named_stays() {
    let scene = Scene::set().await;
    scene.run("apply", DOCUMENT, &["--yes"]).await.ok();
    let changed = DOCUMENT
        .replace("segments_per_second: 80", "segments_per_second: 40")
        .replace("    proxy_url: http://proxy.example.com:3128\n", "")
        .replace("second_account: Generic, ", "per_second: 5, ")
        .replace("Thank you for", "Thanks for")
        .replace("  language: de\n", "  language: en\n")
        .replace(
            "  - {name: WC_Sales, link: AACC Dublin}\n",
            "  - {name: WC_Sales, link: AACC Dublin}\n  - {name: WC_Help, link: AACC Dublin}\n",
        );
    let dry = scene
        .run("apply", &changed, &["--dry-run", "--json"])
        .await
        .json();
    let said: Vec<_> = dry["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| format!("{} {}", s["act"].as_str().unwrap(), s["key"].as_str().unwrap()))
        .collect();
    assert_eq!(
        said,
        [
            "change Twilio main",
            "change AACC Dublin",
            "create WC_Help",
            "change Greeting (skillset, WC_Sales)",
            "change +14155550177",
            "change chat_settings",
        ]
    );
    assert_eq!(
        dry["steps"][1]["differences"],
        json!([{"at": "proxy_url", "from": "http://proxy.example.com:3128", "to": null}])
    );
    scene.run("apply", &changed, &["--yes"]).await.ok();
    assert_eq!(
        scene.run("apply", &changed, &["--yes"]).await.ok(),
        "globex: nothing to change\n"
    );

    // A list that is not in the document is not looked at; one that lacks a thing says so.
    let part = "apiVersion: ccm/v1\nslug: globex\nskillsets:\n  - {name: WC_Sales, link: AACC Dublin}\n";
    let left = scene.run("diff", part, &[]).await.ok();
    assert_eq!(
        left,
        "globex: nothing to change\n  not in the document, stays: skillset WC_Help\n"
    );

    // Secrets are sent again where that is asked for.
    let again = scene.run("apply", &changed, &["--yes", "--secrets"]).await.ok();
    assert!(
        again.contains("~ account Twilio main\n") && again.ends_with("all 2 done\n"),
        "{again}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_step_that_fails_ends_it_and_is_named() {
    let scene = Scene::set().await;
    let bad = DOCUMENT.replace("wss://aacc.example.com:8445", "https://aacc.example.com");
    let failed = scene.run("apply", &bad, &["--yes"]).await;
    assert_eq!(failed.code, 8, "{}", failed.err);
    for line in [
        "done: account Generic\n",
        "FAILED: link AACC Dublin\n",
        "not done: number +14155550177\n",
    ] {
        assert!(failed.out.contains(line), "{line}: {}", failed.out);
    }
    assert!(failed.err.contains("field: url"), "{}", failed.err);
    // Mended, it goes on there.
    let on = scene.run("apply", DOCUMENT, &["--yes"]).await.ok();
    assert!(
        !on.contains("+ tenant") && on.contains("+ link AACC Dublin\n"),
        "{on}"
    );

    let fixed = scene
        .run(
            "apply",
            &DOCUMENT.replace(
                "kind: http\n    settings: {send_url: https://sms.example.com/send}",
                "kind: twilio\n    settings: {account_sid: AC0123456789abcdef0123456789abcdef}",
            ),
            &["--yes"],
        )
        .await;
    assert_eq!(
        (fixed.code, fixed.err.contains("kind of the account")),
        (2, true),
        "{}",
        fixed.err
    );
    let typed = scene
        .run("apply", &DOCUMENT.replace("proxy_url", "proxy_uri"), &["--yes"])
        .await;
    assert!(
        typed.code == 2 && typed.err.contains("line 17") && typed.err.contains("is proxy_url meant?"),
        "{}",
        typed.err
    );
    let secret = scene
        .run(
            "diff",
            &DOCUMENT
                .replace("slug: globex", "slug: initech")
                .replace("GLOBEX_TOKEN", "NOT_SET"),
            &[],
        )
        .await;
    assert!(
        secret.code == 2 && secret.err.contains("NOT_SET"),
        "{}",
        secret.err
    );
    fs::remove_file(scene.rig.folder.path().join("signing")).unwrap();
    scene.run("diff", DOCUMENT, &[]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_goes_to_the_api_and_nowhere_else() {
    let scene = Scene::set().await;
    let of = |proxy: &str| {
        format!(
            "apiVersion: ccm/v1\nslug: globex\nlinks:\n  - {{name: AACC, url: wss://aacc.example.com, proxy_url: {proxy}}}\n"
        )
    };
    for proxy in ["http://proxy.example.com:3128", "{env: GLOBEX_PROXY}"] {
        let done = scene.run("apply", &of(proxy), &["--yes"]).await.ok();
        assert!(done.ends_with(" done\n") && !done.contains("bee"), "{done}");
        assert_eq!(
            scene.run("diff", &of(proxy), &[]).await.ok(),
            "globex: nothing to change\n"
        );
    }
    let exported = scene.export("globex").await;
    // As other secrets, it is somewhere else; needed where it is made, or is to become another one.
    assert!(
        exported.contains("proxy_url: {env: GLOBEX_AACC_PROXY_URL}")
            || exported.contains("env: GLOBEX_AACC_PROXY_URL"),
        "{exported}"
    );
    assert!(!exported.contains("***"), "{exported}");
    assert_eq!(
        scene.run("diff", &exported, &["--prune"]).await.ok(),
        "globex: nothing to change\n"
    );
    let again = scene
        .run("diff", &of("{env: GLOBEX_PROXY}"), &["--secrets"])
        .await;
    assert!(
        again.code == 9 && again.out.contains("proxy_url: (from env GLOBEX_PROXY)"),
        "{}",
        again.out
    );
    let elsewhere = exported.replace("slug: globex", "slug: initech");
    let unset = scene.run("apply", &elsewhere, &["--yes"]).await;
    assert!(
        unset.code == 2 && unset.err.contains("GLOBEX_AACC_PROXY_URL"),
        "{}",
        unset.err
    );
    let as_shown = of("http://***@proxy.example.net:3128").replace("globex", "initech");
    let refused = scene.run("apply", &as_shown, &["--yes"]).await;
    assert!(
        refused.code == 2 && refused.err.contains("line 4: ") && refused.err.contains("{env: NAME}"),
        "{}",
        refused.err
    );
    let nothing = scene
        .rig
        .run(&["tenant", "list", "--slug", "initech", "--json"])
        .await
        .json();
    assert_eq!(nothing["items"], json!([]), "nothing is made half");
}

/// Who cannot see other tenants names their own by its id.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_own_role_applies_its_document() {
    let rig = Rig::start().await;
    let id = rig.tenant.to_string();
    let token = rig.token_of(Role::TenantAdmin, Some(rig.tenant));
    let run = async |slug: &str, line: &[&str]| {
        let text = format!("apiVersion: ccm/v1\nslug: {slug}\nsms_settings: {{transliterate: latin}}\n");
        let file = rig.file("own.yaml", &text);
        let env = [
            ("CCMCTL_URL", rig.url.as_str()),
            ("CCMCTL_TOKEN", &token),
            ("CCMCTL_TENANT", &id),
        ];
        rig.run_in(&[line, &["-f", file.to_str().unwrap()]].concat(), &env, "")
            .await
    };
    let applied = run("acme-bank", &["tenant", "apply", "--yes"]).await.ok();
    assert!(
        applied.contains("transliterate: punctuation → latin\n"),
        "{applied}"
    );
    assert_eq!(
        run("acme-bank", &["tenant", "diff"]).await.ok(),
        "acme-bank: nothing to change\n"
    );
    let other = run("globex", &["tenant", "diff"]).await;
    assert_eq!(
        (other.code, other.err.contains("--tenant is acme-bank")),
        (2, true),
        "{}",
        other.err
    );
}
