//! What pages leave behind in logs, spans and metrics: no key, no token, no number, no text.

use crate::rig::{MOBILE, Rig, Tenant};
use ccm_model::ProviderKind;
use ccm_runtime::{Health, Lifecycle, config::ShutdownConfig};
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;
use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn said(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

async fn use_a_page(url: &str, tenant: &Tenant) -> String {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let opened = client
        .get(format!(
            "{url}/?auth={}&dest=%2B353861234567&agent=Canary",
            tenant.key
        ))
        .send()
        .await
        .unwrap();
    let path = opened.headers()["location"].to_str().unwrap().to_owned();
    let page = client
        .get(format!("{url}{path}"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let (_, m) = page.split_once("name=\"m\" value=\"").unwrap();
    let m = m.split_once('"').unwrap().0;
    for (part, what) in [("/draft", ""), ("/check", ""), ("", "send"), ("", "send")] {
        let form = [
            ("m", m),
            ("number", MOBILE),
            ("body", "Canary text"),
            ("do", what),
        ];
        client
            .post(format!("{url}{path}{part}"))
            .form(&form)
            .send()
            .await
            .unwrap();
    }
    client.get(format!("{url}{path}/history")).send().await.unwrap();
    client
        .get(format!("{url}/?auth=WRONGKEYWRONGKEY"))
        .send()
        .await
        .unwrap();
    client
        .get(format!("{url}/?link=WRONG.LINK.HERE"))
        .send()
        .await
        .unwrap();
    path
}

/// Our own code and the web libraries at the level of everything. In a process of its own, as nextest runs it: subscribers of other tests
/// would share its call sites.
#[tokio::test]
async fn neither_key_nor_page_number_nor_text_is_left_behind() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Twilio).await;
    let log = Log::default();
    let writer = log.clone();
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse_lossy("info,ccm_screenpop=trace,ccm_web=trace,ccm_db=trace,tower_http=trace,axum=trace");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let config = ShutdownConfig {
        notice: Duration::ZERO,
        grace: Duration::from_secs(20),
    };
    let life = Lifecycle::new(config, Health::new("screenpop"));
    let serving = tokio::spawn(ccm_screenpop::run(listener, rig.deps.clone(), life.clone()));
    let path = use_a_page(&url, &tenant).await;
    life.drain();
    serving.await.unwrap().unwrap();
    let said = log.said();
    assert!(said.contains("http.route=\"/pop/{token}\""), "{said}");
    let token = path.strip_prefix("/pop/").unwrap();
    for secret in [
        tenant.key.as_str(),
        token,
        "861234567",
        "Canary",
        "WRONGKEY",
        "WRONG.LINK",
    ] {
        assert!(!said.contains(secret), "{secret} stands in the log:\n{said}");
    }
}
