use crate::rig::Rig;
use ccm_auth::Role;
use std::{fs, os::unix::fs::PermissionsExt};

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_says_where_and_who() {
    let rig = Rig::start().await;
    let run = async |line: &[&str]| rig.run_in(line, &[], "").await;
    let token = rig.token(Role::Engineer);
    let file = rig.file("token", &format!("{token}\n"));
    let by_file = ["--token-file", file.to_str().unwrap()];
    run(&[
        &[
            "profile",
            "add",
            "lab",
            "--url",
            &rig.url,
            "--tenant",
            "acme-bank",
        ],
        &by_file[..],
    ]
    .concat())
    .await
    .ok();
    let config = rig.folder.path().join(".config/ccmctl/config.toml");
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    let links = run(&["links", "list", "--json"]).await.json();
    assert_eq!(links["items"][0]["name"], "aacc");

    let command = format!("cat {}", file.display());
    run(&[
        "profile",
        "add",
        "other",
        "--url",
        &rig.url,
        "--token-command",
        &command,
    ])
    .await
    .ok();
    let nobody = run(&["--profile", "other", "links", "list"]).await;
    assert_eq!(
        (nobody.code, nobody.err.contains("--tenant")),
        (2, true),
        "{}",
        nobody.err
    );
    run(&["links", "list", "--profile", "other", "--tenant", "acme-bank"])
        .await
        .ok();
    let listed = run(&["profile", "list"]).await.ok();
    assert!(
        listed.contains("*  lab ") && listed.contains("by command") && !listed.contains(&token),
        "{listed}"
    );
    run(&["profile", "use", "other"]).await.ok();
    run(&["tenant", "get", "acme-bank"]).await.ok();
    run(&["profile", "remove", "other"]).await.ok();
    let unknown = run(&["profile", "use", "other"]).await;
    assert_eq!(
        (unknown.code, unknown.err.contains("one of: lab")),
        (2, true),
        "{}",
        unknown.err
    );

    // A profile's token goes to the profile's address only.
    let elsewhere = run(&["--profile", "lab", "--url", "http://127.0.0.1:9", "links", "list"]).await;
    assert_eq!(
        (elsewhere.code, elsewhere.err.contains("no token")),
        (2, true),
        "{}",
        elsewhere.err
    );

    let kept = [
        "profile",
        "add",
        "kept",
        "--url",
        &rig.url,
        "--tenant",
        "acme-bank",
        "--token-stdin",
    ];
    rig.run_in(&kept, &[], &token).await.ok();
    run(&["--profile", "kept", "links", "list"]).await.ok();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    let open = run(&["--profile", "kept", "links", "list"]).await;
    assert_eq!(
        (open.code, open.err.contains("chmod 600")),
        (2, true),
        "{}",
        open.err
    );
    fs::write(&config, "curent = 'lab'\n").unwrap();
    let broken = run(&["profile", "list"]).await;
    assert_eq!(
        (broken.code, broken.err.contains("curent")),
        (2, true),
        "{}",
        broken.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_complete_the_commands() {
    let rig = Rig::start().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = rig.run_in(&["completion", shell], &[], "").await.ok();
        assert!(
            script.contains("maintenance-windows") && script.contains("ccmctl"),
            "{shell}"
        );
    }
}
