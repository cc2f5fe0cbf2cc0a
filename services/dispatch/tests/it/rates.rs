//! Rates are in segments, and exact over all dispatch pods, as the provider sees them; tenants take turns.

use crate::{
    provider::{Does, Provider},
    rig::{FAST, Rig, settings},
};
use ccm_db::Db;
use ccm_dispatch::Settings;
use ccm_model::{MessageState, ProviderKind};
use ccm_testkit::canary;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep},
};

/// Of the 7-bit alphabet: one segment to 160 characters, then 153 each.
fn text(segments: usize) -> String {
    "x".repeat([0, 20, 200, 400][segments])
}

fn segments(text: &str) -> f64 {
    match text.len() {
        0..=160 => 1.0,
        161..=306 => 2.0,
        _ => 3.0,
    }
}

/// In no window do more segments come in than its length allows, and one text: from each text to each later one, what came
/// before the later one fits into the time between. `late`: how late the first of a window may have come in.
fn must_fit(mut came: Vec<(Instant, f64)>, rate: f64, late: Duration) {
    came.sort_by_key(|(at, _)| *at);
    for (n, (begin, _)) in came.iter().enumerate() {
        let mut before = 0.0;
        for (at, segments) in &came[n..] {
            let window = (*at - *begin + late).as_secs_f64();
            assert!(
                before <= rate * window,
                "{before} segments in {window} s at {rate}"
            );
            before += segments;
        }
    }
}

/// How late this machine, which pods, provider and other tests share, comes to things: a text may come in so much later than
/// its moment. That moments themselves are exact is tested beside them, in the database's tests.
struct Lateness {
    most: Arc<Mutex<Duration>>,
    watch: AbortHandle,
}

impl Lateness {
    /// Writes to the database and sleeps for a moment, again and again, as a dispatcher does.
    fn watch(db: Db) -> Self {
        let most = Arc::new(Mutex::new(Duration::ZERO));
        let (noted, pod) = (most.clone(), crate::rig::IDS.next());
        let watch = tokio::spawn(async move {
            loop {
                let begin = Instant::now();
                db.operator().heartbeat(pod, "watch", false).await.unwrap();
                sleep(Duration::from_millis(5)).await;
                let mut most = noted.lock().unwrap();
                *most = most.max(begin.elapsed());
            }
        });
        let watch = watch.abort_handle();
        Self { most, watch }
    }

    /// Twice: once to come by a moment, once to use it.
    fn most(&self) -> Duration {
        Duration::from_millis(150) + 2 * *self.most.lock().unwrap()
    }
}

impl Drop for Lateness {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_account_and_tenant_keep_their_rates_over_two_pods() {
    const NUMBER: f64 = 20.0;
    const TENANT: f64 = 30.0;
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig
        .tenant(1, ProviderKind::Twilio, &provider, NUMBER as f32)
        .await;
    let mut other = tenant;
    other.number = crate::rig::IDS.next();
    rig.run(&format!(
        "insert into number (id, tenant_id, account_id, skillset_id, address, per_second)
         select '{}', tenant_id, account_id, skillset_id, '{}', {NUMBER} from number",
        other.number.0,
        canary::number(90_500)
    ));
    rig.run("update provider_account set per_second = 35");
    rig.run(&format!(
        "insert into sms_settings (tenant_id, settings) values ('{}', '{{\"segments_per_second\": {TENANT}}}')",
        tenant.id
    ));
    let mut said = Vec::new();
    for customer in 0..20 {
        let chat = rig.chat(tenant, customer).await;
        if customer % 2 == 1 {
            rig.run(&format!(
                "update conversation set number_id = '{}', our_address = '{}' where id = '{}'",
                other.number.0,
                canary::number(90_500),
                chat.conversation.0
            ));
        }
        for n in 0..3 {
            let length = 1 + (customer as usize + n) % 3;
            said.push((chat, rig.say(chat, &text(length)).await));
        }
    }
    let lateness = Lateness::watch(rig.db.clone());
    let patient = Settings {
        provider_timeout: Duration::from_secs(20),
        claim: Duration::from_secs(60),
        ..settings()
    };
    let _dispatchers = [rig.dispatcher(patient.clone()), rig.dispatcher(patient)];
    for (chat, id) in &said {
        rig.until(*chat, *id, MessageState::Sent).await;
    }
    let calls = provider.calls();
    assert_eq!(calls.len(), said.len());
    let late = lateness.most();
    let came = |from: Option<String>| {
        let of = calls
            .iter()
            .filter(|c| from.as_ref().is_none_or(|from| c.from == *from));
        of.map(|c| (c.at, segments(&c.text))).collect::<Vec<_>>()
    };
    must_fit(came(None), TENANT, late);
    for number in [90_001, 90_500] {
        let of = came(Some(canary::number(number)));
        assert_eq!(of.len(), 30);
        must_fit(of, NUMBER, late);
    }
    let first = calls.iter().map(|c| c.at).min().unwrap();
    let last = calls.iter().map(|c| c.at).max().unwrap();
    let took = (last - first).as_secs_f64();
    assert!(took < 4.0 * 120.0 / TENANT, "the rate is used, too: {took} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_due_lines_of_one_tenant_do_not_delay_another() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    provider.always(Does::TakesSlowly(Duration::from_millis(200)));
    let crowd = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let quick = rig.tenant(2, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(quick, 1).await;
    rig.run(&format!(
        "insert into conversation (id, tenant_id, number_id, our_address, customer_address, opened_at, last_activity_at)
         select gen_random_uuid(), '{0}', '{1}', '{2}', '+1999556' || lpad(n::text, 5, '0'), now(), now()
         from generate_series(1, 10000) n;
         insert into message (id, tenant_id, conversation_id, seq, direction, origin, body, state, created_at, updated_at)
         select gen_random_uuid(), tenant_id, id, 1, 'mt', 'agent', 'bulk', 'queued', now(), now()
         from conversation where tenant_id = '{0}';
         insert into outbox (message_id, tenant_id, conversation_id, seq, created_at)
         select id, tenant_id, conversation_id, seq, now() from message where tenant_id = '{0}';
         insert into outbox_line (conversation_id, tenant_id, due_at)
         select id, tenant_id, now() - interval '1 minute' from conversation where tenant_id = '{0}'",
        crowd.id,
        crowd.number.0,
        canary::number(90_001)
    ));
    let _dispatcher = rig.dispatcher(Settings {
        concurrency: 8,
        ..settings()
    });
    while provider.calls().len() < 8 {
        sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..3 {
        let before = provider.calls().len();
        let id = rig.say(chat, "one").await;
        rig.until(chat, id, MessageState::Sent).await;
        let meanwhile = provider.calls().len() - before;
        assert!(meanwhile < 100, "{meanwhile} of the other tenant went first");
    }
}
