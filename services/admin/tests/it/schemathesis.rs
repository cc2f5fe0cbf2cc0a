//! The API against its own document, by somebody who knows nothing else: schemathesis asks everything.

use crate::{access, app::App, certificates, dead_letters, doctor, roles, webhooks};
use ccm_auth::Role;
use futures::{StreamExt, stream};
use std::{
    fmt::Write,
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
};
use tokio::{net::TcpListener, process::Command};

/// What must hold of each answer: no 5xx, and nothing that the document does not say.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

/// Each asker is one thread of Python, which the API keeps waiting for half of its time.
const AT_ONCE: usize = 3;

/// `deploy/dev/check-api` installs schemathesis and runs this.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs schemathesis, which deploy/dev/check-api installs and names in CCM_SCHEMATHESIS"]
async fn every_role_gets_what_the_document_says() {
    let asking = Asking {
        program: std::env::var("CCM_SCHEMATHESIS").expect("deploy/dev/check-api sets CCM_SCHEMATHESIS"),
        examples: std::env::var("CCM_SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| "5".to_owned()),
        app: App::start().await,
        folder: ccm_testkit::TempFolder::new().unwrap(),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service =
        ccm_admin::router(asking.app.deps.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let served = tokio::spawn(async move { axum::serve(listener, service).await });

    let named = std::env::var("CCM_SCHEMATHESIS_ROLES").unwrap_or_default();
    let roles: Vec<Role> = match named.is_empty() {
        true => Role::ALL.to_vec(),
        false => named.split(',').map(|name| name.parse().unwrap()).collect(),
    };
    let failed: Vec<String> = stream::iter(roles)
        .map(|role| asking.all_as(role, &url))
        .buffer_unordered(AT_ONCE)
        .filter_map(async |failed| failed)
        .collect()
        .await;
    served.abort();
    assert!(failed.is_empty(), "what it found stands above: {failed:?}");
}

struct Asking {
    program: String,
    examples: String,
    app: App,
    folder: ccm_testkit::TempFolder,
}

impl Asking {
    /// Each role has a tenant of its own: the one before has taken much of its own away.
    async fn all_as(&self, role: Role, url: &str) -> Option<String> {
        let app = &self.app;
        let tenant = app.tenant(role.as_str()).await;
        let conversation = app.text(&tenant, "+353861234567", "hello").await;
        let (letter, _) = dead_letters::refused(app, &tenant, "refused").await;
        let mut known = vec![
            ("tenant", tenant.id.to_string()),
            ("link", tenant.link.clone()),
            ("skillset", tenant.skillset.clone()),
            ("account", tenant.account.clone()),
            ("number", tenant.number.clone()),
            ("conversation", conversation.to_string()),
            ("letter", letter),
        ];
        known.push(("template", roles::template(app, &tenant).await));
        known.push(("user", access::user(app, Some(&tenant)).await));
        let (webhook, delivery) = webhooks::tested(app, &tenant).await;
        known.extend([("webhook", webhook), ("delivery", delivery)]);
        known.push(("report", doctor::kept(app, &tenant).await));
        known.push(("sha256", certificates::trusted(app, &tenant).await));
        let mut config = "[parameters]\n".to_owned();
        for (name, value) in known {
            writeln!(config, "\"path.{name}\" = \"{value}\"").unwrap();
        }
        let file = self.folder.path().join(format!("{role}.toml"));
        std::fs::write(&file, config).unwrap();

        let token = app.token_for(role, role.is_of_tenant().then_some(tenant.id), 3600);
        let ran = Command::new(&self.program)
            .arg("--config-file")
            .arg(&file)
            .args(["--no-color", "run", &format!("{url}/openapi.json")])
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing"])
            // One: with more, Python 3.11 itself breaks now and then (a parser's recursion, counted over all threads).
            .args(["--max-examples", &self.examples, "--workers", "1", "--seed", "1"])
            .args(["--request-timeout", "40", "--warnings", "off"])
            .args(["--suppress-health-check", "all"])
            .env("PYTHONUTF8", "1")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        println!("== as {role}\n{said}");
        if ran.status.success() {
            return None;
        }
        println!("{}", String::from_utf8_lossy(&ran.stderr));
        Some(format!("as {role}: {}", ran.status))
    }
}
