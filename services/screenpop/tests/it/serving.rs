//! The role as it runs.

use crate::rig::{MOBILE, Rig};
use ccm_model::ProviderKind;
use ccm_runtime::{Health, Lifecycle, config::ShutdownConfig};
use std::time::Duration;
use tokio::net::TcpListener;

#[tokio::test]
async fn it_serves_until_it_drains() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Twilio).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/number-check", listener.local_addr().unwrap());
    let config = ShutdownConfig {
        notice: Duration::ZERO,
        grace: Duration::from_secs(20),
    };
    let life = Lifecycle::new(config, Health::new("screenpop"));
    let serving = tokio::spawn(ccm_screenpop::run(listener, rig.deps.clone(), life.clone()));
    let ask = || {
        reqwest::Client::new()
            .get(&url)
            .query(&[("number", MOBILE), ("lookup", "true")])
            .bearer_auth(&tenant.key)
            .send()
    };
    assert_eq!(ask().await.unwrap().status(), 200);
    life.drain();
    serving.await.unwrap().unwrap();
    ask().await.unwrap_err();
}

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let rig = Rig::new().await;
    rig.get("/v1/nothing", None).await.problem(404);
}
