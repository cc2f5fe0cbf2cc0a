use ccm_testkit::{Stack, StopMode, TestDb};
use std::time::Duration;
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let ccm = std::env::args().nth(1).unwrap();
    let t = tokio::time::Instant::now();
    for roles in [vec!["ingest", "dispatch", "connector", "connector-2", "admin"], vec!["all"]] {
        let mut stack = Stack::builder(&ccm).roles(roles.clone()).proxied_redis().progress(|s| eprintln!("… {s}")).start().await?;
        eprintln!("{roles:?} ready after {:?}", t.elapsed());
        for role in &roles {
            let m = stack.metrics(role).await?;
            eprintln!("{role}: {} lines of metrics, address {:?}", m.lines().count(), stack.address(role).ok());
        }
        stack.kill9(roles[0])?;
        stack.start(roles[0]).await?;
        eprintln!("killed and back {:?}", t.elapsed());
        for role in &roles {
            stack.sigterm(role)?;
            eprintln!("{role} {:?} {:?}", stack.wait(role, Duration::from_secs(30)).await?, t.elapsed());
            stack.start(role).await?;
        }
        stack.redis().stop()?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        eprintln!("no redis: ready={}", stack.is_ready(roles[0]).await?);
        stack.redis().start_again()?;
        stack.pg().restart(StopMode::Immediate)?;
        stack.pg().restart(StopMode::Fast)?;
        eprintln!("pg restarted {:?}", t.elapsed());
        for role in &roles { stack.restart(role).await?; }
        eprintln!("{}", stack.logs(roles[0])?.lines().take(6).collect::<Vec<_>>().join("\n"));
    }
    let _ = TestDb::create(async |_url: String| anyhow::Ok(())).await?;
    Ok(())
}
