//! No call reads more than it needs: rows and index entries that Postgres counted, with realistic amounts.
//!
//! This sees every statement as it is really sent, whatever its plan.

use super::open_with;
use crate::{
    AgentText, AsSent, Claim, Db, Fence, Head, IncomingText, Knows, LeaseTimes, Notice, Outcome, RoomState,
    Route, Sender,
};
use ccm_model::{Address, Body, ConversationId, Id, IdSource, MessageId, PodId, TenantId};
use ccm_testkit::TestDb;
use sqlx::{Connection, Executor, PgConnection, Row};
use std::{collections::BTreeMap, time::Duration};

/// The first five calls are planned with their values; then Postgres may keep a plan for all values.
const CALLS: i64 = 7;

/// Rows and index entries per call. A conversation has ten texts, a page asks for twenty of anything.
const FEW: i64 = 60;
/// What is counted per tenant or pod: the large tenant's 800 waiting texts and 800 open chats.
const OF_THE_TENANT: i64 = 2_500;
/// All that a tenant has under way, in each of its tables, and once more to find its last texts.
const AN_OVERVIEW: i64 = 8 * OF_THE_TENANT;
/// Its conversations of 31 days and those that are open, its chats of a week; of texts those of the time in question.
const A_MONTH_OF_THE_TENANT: i64 = 3 * OF_THE_TENANT;
/// What is looked at to share lines out: an entry or two of each tenant that has any (here 50), and the lines themselves.
const OF_EACH_TENANT: i64 = 200;
/// Tables of a few dozen rows that hold what is configured; reading them wholly is right.
const SMALL: [&str; 8] = [
    "tenant",
    "tenant_key",
    "provider_account",
    "sms_settings",
    "ewc_link",
    "skillset",
    "lease",
    "pod",
];

struct Meter {
    root: PgConnection,
    db: Db,
    mode: &'static str,
}

impl Meter {
    async fn counters(&mut self) -> BTreeMap<String, i64> {
        // The second statement finds what the first one has made the session report.
        const FLUSH: &str = "SELECT pg_stat_force_next_flush()";
        for _ in 0..2 {
            self.db.app_pool().execute(FLUSH).await.unwrap();
            self.db.operator().pool().execute(FLUSH).await.unwrap();
            self.root.execute(FLUSH).await.unwrap();
        }
        let sql = "SELECT relname::text, seq_tup_read + coalesce((
                     SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = t.relid), 0)::bigint
                   FROM pg_stat_user_tables t";
        let rows = self.root.fetch_all(sql).await.unwrap();
        let mut counters = BTreeMap::new();
        for row in rows {
            let name: String = row.get(0);
            if !SMALL.contains(&name.as_str()) {
                counters.insert(name, row.get(1));
            }
        }
        counters
    }

    async fn check(&mut self, before: BTreeMap<String, i64>, budget: i64, call: &str) {
        let after = self.counters().await;
        let read: BTreeMap<_, _> = after
            .into_iter()
            .map(|(name, count)| (name.clone(), count - before.get(&name).unwrap_or(&0)))
            .filter(|(_, count)| *count > 0)
            .collect();
        let total: i64 = read.values().sum();
        assert!(
            total <= budget * CALLS,
            "{call}, {}: {read:?} in {CALLS} calls",
            self.mode
        );
    }
}

/// Makes the call several times and holds what it read against a budget.
macro_rules! costs {
    ($meter:ident, $budget:expr, $call:expr) => {{
        let before = $meter.counters().await;
        for _ in 0..CALLS {
            let _ = $call.await.unwrap();
        }
        $meter.check(before, $budget, stringify!($call)).await;
    }};
}

pub(super) async fn no_call_reads_more_than_it_needs(test: &TestDb) {
    for (mode, parameters) in [
        ("plans as Postgres chooses", ""),
        (
            "plans for all values",
            "?options=-c%20plan_cache_mode=force_generic_plan",
        ),
    ] {
        let db = open_with(test, 1, parameters);
        let root = PgConnection::connect(test.superuser_url()).await.unwrap();
        measure(Meter { root, db, mode }).await;
    }
}

async fn measure(mut meter: Meter) {
    let db = meter.db.clone();
    let ids = IdSource::system();
    let clock = ids.clock().clone();
    let now = || clock.now();
    let row = meter
        .root
        .fetch_one(
            "SELECT n.tenant_id, n.account_id, n.id, n.address, c.id, c.customer_address, h.id, h.link_id
             FROM conversation c JOIN number n ON n.id = c.number_id JOIN chat h ON h.conversation_id = c.id
             WHERE c.state = 'open' AND h.state = 'live' AND c.tenant_id = (
               SELECT tenant_id FROM conversation GROUP BY 1 ORDER BY count(*) DESC LIMIT 1)
             ORDER BY c.id LIMIT 1",
        )
        .await
        .unwrap();
    let tenant = TenantId(row.get(0));
    let route = Route {
        tenant,
        account: ccm_model::AccountId(row.get(1)),
        number: ccm_model::NumberId(row.get(2)),
    };
    let ours: Address = row.get::<&str, _>(3).parse().unwrap();
    let conversation = ConversationId(row.get(4));
    let customer: Address = row.get::<&str, _>(5).parse().unwrap();
    let (chat, link) = (ccm_model::ChatId(row.get(6)), ccm_model::LinkId(row.get(7)));
    let rows = db.tenant(tenant);
    let of = rows.conversation(conversation).await.unwrap();

    costs!(meter, FEW, rows.conversation(conversation));
    costs!(meter, FEW, rows.conversations(None, None, 20));
    costs!(meter, FEW, rows.conversations(None, Some(conversation), 20));
    costs!(meter, FEW, rows.conversations(Some(&customer), None, 20));
    costs!(meter, FEW, rows.messages(&of, 0, 20));
    costs!(meter, FEW, rows.pending_texts(conversation, 0, 20));
    costs!(meter, FEW, rows.heard(conversation, chat));
    costs!(meter, FEW, db.operator().account_owner(route.account));
    costs!(meter, FEW, db.operator().find_number(route.account, &ours));
    costs!(meter, FEW, db.operator().next_line_due());
    costs!(
        meter,
        OF_THE_TENANT,
        db.batch().conversations_to_serve(&[tenant], &[tenant])
    );

    let text = || {
        let message: MessageId = ids.next();
        IncomingText {
            message,
            conversation: ids.next(),
            route,
            provider_id: format!("SM{message}"),
            repeat_window: None,
            kind: crate::TextKind::Text,
            refused: None,
            segments: None,
            to: ours.clone(),
            from: customer.clone(),
            body: Body::new("hello").unwrap(),
            received_at: now(),
            written_at: None,
            trace: None,
        }
    };
    costs!(meter, FEW, db.batch().accept(&[text(), text(), text()]));

    let pod: PodId = ids.next();
    let times = LeaseTimes {
        lease: Duration::from_secs(5),
        margin: Duration::from_secs(1),
    };
    meter.root.execute("DELETE FROM pod").await.unwrap();
    db.operator().heartbeat(pod, "pod", false).await.unwrap();
    let owned = db.operator().take_leases(pod, &[tenant], times).await.unwrap()[0];
    let fence = Fence { pod, owned };
    let f = &fence;
    let waiting = rows.pending_texts(conversation, 10, 20).await.unwrap();
    let message = waiting[0].message;
    let said = || AgentText {
        message: ids.next(),
        author: "Agent".into(),
        body: Body::new("hello").unwrap(),
        heard: None,
        written_at: None,
        replayed: false,
        trace: None,
    };
    costs!(meter, FEW, rows.text_sending(f, message, chat, now()));
    costs!(meter, FEW, rows.text_held(f, message, now()));
    costs!(meter, FEW, rows.text_delivered(f, message, now()));
    costs!(meter, FEW, rows.set_room(f, chat, RoomState::Live));
    costs!(meter, FEW, rows.agent_said(f, conversation, chat, &said(), now()));
    costs!(
        meter,
        FEW,
        rows.chat_ended(f, conversation, Some(chat), "left", None, now())
    );
    costs!(
        meter,
        FEW,
        rows.chat_opened(
            f,
            conversation,
            &crate::NewChat {
                id: ids.next(),
                link,
                guid: "1",
                key: "key",
                skillset: "WC_Default_Skillset",
                lost_counts_until: None
            },
            now()
        )
    );
    costs!(meter, FEW, rows.actor_context(conversation));
    costs!(meter, FEW, rows.last_words(conversation, chat));
    costs!(meter, FEW, rows.previous_chat(conversation));
    costs!(meter, OF_THE_TENANT, rows.counted_chats(now()));
    costs!(meter, FEW, rows.set_waits(f, conversation, Some("agent"), now()));
    costs!(
        meter,
        FEW,
        rows.set_told(f, chat, &serde_json::json!({"comfort": 1}))
    );
    costs!(meter, FEW, rows.texts_beyond(conversation, 500, 20));
    let notice = || Notice {
        message: ids.next(),
        kind: "waiting",
        body: Body::new("please wait").unwrap(),
        chat: Some(chat),
        told: None,
        bound: None,
    };
    costs!(meter, FEW, rows.say(f, conversation, &notice(), now()));
    costs!(meter, FEW, rows.settings::<ccm_model::ChatSettings>());
    costs!(meter, FEW, rows.routing());
    costs!(meter, FEW, rows.routing_other_than(1));
    costs!(meter, FEW, rows.link_of_skillset("s"));
    costs!(meter, FEW, rows.link_states());
    costs!(meter, FEW, rows.link_events(link, None, 20));
    costs!(meter, FEW, rows.windows_of_link(link, now()));
    costs!(meter, FEW, db.batch().maintenance_windows(&[tenant], now()));
    costs!(meter, AN_OVERVIEW, db.batch().overviews(&[tenant], now()));
    let hour = crate::Span {
        from: now() - Duration::from_secs(3600),
        to: now(),
        step: Duration::from_secs(60),
    };
    costs!(meter, A_MONTH_OF_THE_TENANT, rows.statistics(hour));

    let hold = Duration::from_secs(300);
    let claim = async |n: i64| -> Result<Vec<Claim>, crate::DbError> {
        db.operator()
            .claim_lines(uuid::Uuid::now_v7(), hold, n, &[])
            .await
    };
    costs!(meter, OF_EACH_TENANT, claim(5));
    let mut claims = Vec::new();
    while claims.len() < 2 * CALLS as usize {
        let more = claim(2 * CALLS - claims.len() as i64).await.unwrap();
        assert!(!more.is_empty());
        claims.extend(more);
    }
    let mut claims = claims.into_iter();
    let sender = Sender {
        hold,
        knows: |_| Knows::Nothing,
        paused: &|_| None,
        as_sent: &|body, _| AsSent { body, segments: 1 },
    };
    let send = async || {
        let claim = claims.next().unwrap();
        let rows = db.tenant(claim.tenant);
        let began = rows.begin_send(&claim, &sender, now()).await?;
        let Head::Send(sending) = began else {
            panic!("{began:?}")
        };
        let sent = Outcome::Sent {
            provider_id: Some(format!("SM{}", sending.message)),
        };
        rows.finish_send(&claim, sending.message, sending.account, &sent, &ids, now())
            .await
    };
    let mut send = send;
    costs!(meter, FEW, send());
    let rates = "UPDATE provider_account SET per_second = 1000;
                 INSERT INTO sms_settings (tenant_id, settings) SELECT id, '{\"segments_per_second\": 1000}' FROM tenant
                 ON CONFLICT DO NOTHING";
    meter.root.execute(rates).await.unwrap();
    costs!(meter, FEW, send());
    assert_eq!(claims.next().map(|c| c.conversation.uuid()), None);
}
