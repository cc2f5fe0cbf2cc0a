//! Dispatchers and agents at the same lines at the same time.

use crate::{
    outbox::{HOLD, begin, claim, expire, finish, head, lines, retry, sent, stored},
    rig::{IDS, Rig, now},
};
use ccm_db::{Head, Outcome};
use ccm_model::{ConversationId, MessageId, MessageState};
use sqlx::Row;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Barrier;

/// Up to a millisecond: the length of the transactions that race.
async fn jitter() {
    tokio::time::sleep(Duration::from_micros(IDS.next_u64() % 1000)).await;
}

/// Two that race keep each other company on any machine: who won last starts later next time.
#[derive(Default)]
struct Even {
    first_waits: i64,
}

impl Even {
    const STEP: i64 = 400;

    fn first_won(&mut self, won: bool) {
        self.first_waits += if won { Self::STEP } else { -Self::STEP };
    }

    async fn first(&self) {
        Self::pause(self.first_waits).await;
    }

    fn second(&self) -> impl Future<Output = ()> + Send + use<> {
        Self::pause(-self.first_waits)
    }

    async fn pause(micros: i64) {
        tokio::time::sleep(Duration::from_micros(u64::try_from(micros).unwrap_or(0))).await;
        jitter().await;
    }
}

/// Four dispatchers drain twelve conversations; the "provider" refuses for now, answers late and fails at random.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn order_is_kept_and_no_line_has_two_dispatchers() {
    const DISPATCHERS: usize = 4;
    const CONVERSATIONS: u32 = 12;
    const TEXTS: usize = 6;
    let rig = Arc::new(Rig::new().await);
    let tenant = rig.tenant_at_rate(1, 100_000.0).await;
    let fence = rig.own(tenant.id).await;
    let mut said: HashMap<ConversationId, Vec<MessageId>> = HashMap::new();
    for customer in 0..CONVERSATIONS {
        let (conversation, chat) = rig.chat(tenant, &fence, customer).await;
        for _ in 0..TEXTS {
            let message = rig.say(&fence, conversation, chat).await;
            said.entry(conversation).or_default().push(message);
        }
    }
    #[derive(Default)]
    struct Seen {
        in_flight: HashSet<ConversationId>,
        taken: HashMap<ConversationId, Vec<MessageId>>,
    }
    let seen = Arc::new(Mutex::new(Seen::default()));
    let dispatchers = (0..DISPATCHERS).map(|_| {
        let (rig, seen) = (rig.clone(), seen.clone());
        tokio::spawn(async move {
            while rig.db.operator().next_line_due().await.unwrap().is_some() {
                for claim in rig.claim(HOLD, 3).await {
                    loop {
                        let sending = match begin(&rig, &claim).await {
                            Head::Send(sending) => sending,
                            Head::Empty => break,
                            other => panic!("nobody else may have it: {other:?}"),
                        };
                        let alone = seen.lock().unwrap().in_flight.insert(claim.conversation);
                        assert!(alone, "two texts of a conversation under way");
                        jitter().await;
                        let refused = IDS.next_u64().is_multiple_of(3);
                        {
                            let mut seen = seen.lock().unwrap();
                            seen.in_flight.remove(&claim.conversation);
                            if !refused {
                                seen.taken
                                    .entry(claim.conversation)
                                    .or_default()
                                    .push(sending.message);
                            }
                        }
                        let outcome = if refused {
                            retry(Duration::ZERO, false)
                        } else {
                            sent("SM")
                        };
                        if !finish(&rig, &claim, sending.message, &outcome).await {
                            break;
                        }
                    }
                }
            }
        })
    });
    for dispatcher in dispatchers.collect::<Vec<_>>() {
        dispatcher.await.unwrap();
    }
    assert_eq!(seen.lock().unwrap().taken, said, "each once, in order");
    assert_eq!(rig.count("SELECT count(*) FROM outbox").await, 0);
    let sent = "SELECT count(*) FROM message WHERE state = 'sent' AND resends = 0 AND direction = 'mt'";
    assert_eq!(rig.count(sent).await, i64::from(CONVERSATIONS) * TEXTS as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dispatchers_that_claim_at_once_share_the_lines() {
    const LINES: usize = 40;
    let rig = Arc::new(Rig::new().await);
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    for customer in 0..LINES as u32 {
        let (conversation, chat) = rig.chat(tenant, &fence, customer).await;
        rig.say(&fence, conversation, chat).await;
    }
    for _ in 0..40 {
        expire(&rig).await;
        let start = Arc::new(Barrier::new(6));
        let tasks = (0..6).map(|_| {
            let (rig, start) = (rig.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                rig.claim(HOLD, 5).await
            })
        });
        let mut held = HashSet::new();
        for task in tasks.collect::<Vec<_>>() {
            let claims = task.await.unwrap();
            assert!(claims.len() <= 5, "more than asked for: {}", claims.len());
            for claim in claims {
                assert!(held.insert(claim.conversation), "claimed twice");
            }
        }
        assert!(held.len() >= 5);
    }
}

/// The dispatcher finds its line empty and drops it while the agent says something more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_text_is_left_without_a_line() {
    const ROUNDS: usize = 120;
    let rig = Arc::new(Rig::new().await);
    let tenant = rig.tenant_at_rate(1, 100_000.0).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let (mut dropped, mut kept, mut even) = (0, 0, Even::default());
    for round in 0..ROUNDS {
        rig.say(&fence, conversation, chat).await;
        let mut mine = claim(&rig).await;
        let first = head(&rig, &mine).await;
        let start = Arc::new(Barrier::new(2));
        let agent = {
            let (rig, start, pause) = (rig.clone(), start.clone(), even.second());
            tokio::spawn(async move {
                start.wait().await;
                pause.await;
                rig.say(&fence, conversation, chat).await
            })
        };
        start.wait().await;
        even.first().await;
        let more = finish(&rig, &mine, first.message, &sent("SM")).await;
        even.first_won(!more);
        let second = agent.await.unwrap();
        let stranded = "SELECT count(*) FROM outbox o WHERE NOT EXISTS
            (SELECT FROM outbox_line l WHERE l.conversation_id = o.conversation_id)";
        assert_eq!(rig.count(stranded).await, 0, "round {round}");
        if more {
            kept += 1;
        } else {
            dropped += 1;
            mine = claim(&rig).await;
        }
        assert_eq!(head(&rig, &mine).await.message, second);
        finish(&rig, &mine, second, &sent("SM")).await;
        assert_eq!(lines(&rig).await, 0);
    }
    assert!(dropped > 5 && kept > 5, "both orders happen: {dropped}, {kept}");
}

/// The first dispatcher hears that its text was sent in the moment in which the second one begins to send it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_text_that_was_sent_stays_sent() {
    let rig = Arc::new(Rig::new().await);
    let tenant = rig.tenant_at_rate(1, 100_000.0).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let (mut resent, mut not, mut even) = (0, 0, Even::default());
    for round in 0..120 {
        let message = rig.say(&fence, conversation, chat).await;
        let first = claim(&rig).await;
        head(&rig, &first).await;
        expire(&rig).await;
        let second = claim(&rig).await;
        let start = Arc::new(Barrier::new(2));
        let late = {
            let (rig, start, pause) = (rig.clone(), start.clone(), even.second());
            tokio::spawn(async move {
                start.wait().await;
                pause.await;
                finish(&rig, &first, message, &sent("late")).await
            })
        };
        start.wait().await;
        even.first().await;
        let began = begin(&rig, &second).await;
        even.first_won(matches!(began, Head::Send(_)));
        assert!(!late.await.unwrap());
        match began {
            Head::Send(_) => {
                resent += 1;
                assert!(!finish(&rig, &second, message, &retry(Duration::ZERO, true)).await);
                assert!(matches!(begin(&rig, &claim(&rig).await).await, Head::Empty));
            }
            Head::Empty => not += 1,
            other => panic!("{other:?}"),
        }
        let (state, attempts, resends, id) = stored(&rig, message).await;
        assert_eq!(
            (state, id.as_deref()),
            (MessageState::Sent, Some("late")),
            "round {round}"
        );
        assert_eq!(attempts, resends + 1);
        assert_eq!(lines(&rig).await, 0);
    }
    assert!(resent > 10 && not > 10, "both orders happen: {resent}, {not}");
}

/// Every reservation of a number's moments is noted by a trigger, as `next_at` less the time that one text takes.
async fn note_moments(rig: &Rig) {
    rig.run("CREATE TABLE noted (moment timestamptz)").await;
    rig.run(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
         BEGIN
           INSERT INTO public.noted VALUES (NEW.next_at - make_interval(secs => 1 / NEW.per_second::float8));
           RETURN NEW;
         END $$",
    )
    .await;
    rig.run("CREATE TRIGGER note AFTER UPDATE OF next_at ON number FOR EACH ROW EXECUTE FUNCTION note()")
        .await;
}

async fn noted(rig: &Rig) -> Vec<f64> {
    let rows = rig
        .rows("SELECT extract(epoch FROM moment)::float8 FROM noted ORDER BY moment")
        .await;
    rows.iter().map(|r| r.get(0)).collect()
}

fn unix(at: time::OffsetDateTime) -> f64 {
    at.unix_timestamp_nanos() as f64 / 1e9
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_numbers_texts_get_moments_of_their_own() {
    const LINES: u32 = 32;
    const PER_SECOND: f32 = 40.0;
    let rig = Arc::new(Rig::new().await);
    let tenant = rig.tenant_at_rate(1, PER_SECOND).await;
    let fence = rig.own(tenant.id).await;
    for customer in 0..LINES {
        let (conversation, chat) = rig.chat(tenant, &fence, customer).await;
        rig.say(&fence, conversation, chat).await;
    }
    note_moments(&rig).await;
    // One of the transactions has waited for long when it comes to its reservation.
    let mut slow = rig.root.begin().await.unwrap();
    sqlx::query("SELECT FROM outbox_line LIMIT 1 FOR UPDATE")
        .execute(&mut *slow)
        .await
        .unwrap();
    let claims = {
        let rig = rig.clone();
        let all = rig.claim(HOLD, 100).await;
        assert_eq!(all.len(), LINES as usize - 1, "the locked line is skipped");
        all
    };
    slow.rollback().await.unwrap();
    let mut claims = claims;
    claims.push(claim(&rig).await);
    let mut slow = rig.root.begin().await.unwrap();
    sqlx::query("SELECT FROM outbox_line WHERE conversation_id = $1 FOR UPDATE")
        .bind(claims[0].conversation.0)
        .execute(&mut *slow)
        .await
        .unwrap();
    let began = unix(now());
    let start = Arc::new(Barrier::new(LINES as usize));
    let tasks: Vec<_> = claims
        .into_iter()
        .map(|claim| {
            let (rig, start) = (rig.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                let sending = head(&rig, &claim).await;
                (unix(now()), sending.wait.as_secs_f64())
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    slow.rollback().await.unwrap();
    let mut leaves = Vec::new();
    for task in tasks {
        let (told, wait) = task.await.unwrap();
        leaves.push(told + wait);
    }
    leaves.sort_by(f64::total_cmp);
    let moments = noted(&rig).await;
    assert_eq!(moments.len(), LINES as usize);
    assert!(moments[0] >= began);
    for pair in moments.windows(2) {
        assert!(
            pair[1] - pair[0] >= 1.0 / f64::from(PER_SECOND) - 2e-6,
            "{moments:?}"
        );
    }
    for (leave, moment) in leaves.iter().zip(&moments) {
        assert!(
            leave - moment > -1e-5,
            "leaves before its moment: {leaves:?} {moments:?}"
        );
    }
    let last = moments[moments.len() - 1] - began;
    assert!(
        last > 1.2,
        "the one that waited gets a moment that has not passed: {last}"
    );
}

/// Ten lines of a number of one text a second, at once: those whose moment is far away do not reserve it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slow_number_is_not_reserved_far_ahead() {
    let rig = Arc::new(Rig::new().await);
    let tenant = rig.tenant_at_rate(1, 1.0).await;
    let fence = rig.own(tenant.id).await;
    for customer in 0..10 {
        let (conversation, chat) = rig.chat(tenant, &fence, customer).await;
        rig.say(&fence, conversation, chat).await;
    }
    note_moments(&rig).await;
    let claims = rig.claim(HOLD, 100).await;
    let start = Arc::new(Barrier::new(claims.len()));
    let tasks: Vec<_> = claims
        .into_iter()
        .map(|claim| {
            let (rig, start) = (rig.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                begin(&rig, &claim).await
            })
        })
        .collect();
    let (mut waits, mut later) = (Vec::new(), 0);
    for task in tasks {
        match task.await.unwrap() {
            Head::Send(sending) => waits.push(sending.wait),
            Head::Later => later += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(waits.iter().all(|w| *w <= Duration::from_secs(2)), "{waits:?}");
    assert!(waits.len() >= 2 && later >= 5, "{waits:?}, {later} later");
    assert_eq!(noted(&rig).await.len(), waits.len());
    let free =
        "SELECT count(*) FROM outbox_line WHERE claim IS NULL AND due_at > now() - interval '1 second'";
    assert_eq!(rig.count(free).await, later);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_empty_line_is_dropped_only_if_it_stays_empty() {
    let rig = Arc::new(Rig::new().await);
    let tenant = rig.tenant_at_rate(1, 100_000.0).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let (mut empty, mut full, mut even) = (0, 0, Even::default());
    for round in 0..80 {
        rig.run(&format!(
            "INSERT INTO outbox_line (conversation_id, tenant_id, due_at) VALUES ('{conversation}', '{}', now())",
            tenant.id
        ))
        .await;
        let first = claim(&rig).await;
        let start = Arc::new(Barrier::new(2));
        let agent = {
            let (rig, start, pause) = (rig.clone(), start.clone(), even.second());
            tokio::spawn(async move {
                start.wait().await;
                pause.await;
                rig.say(&fence, conversation, chat).await
            })
        };
        start.wait().await;
        even.first().await;
        let began = begin(&rig, &first).await;
        even.first_won(matches!(began, Head::Empty));
        let message = agent.await.unwrap();
        let mine = match began {
            Head::Send(_) => {
                full += 1;
                first
            }
            Head::Empty => {
                empty += 1;
                let claims = rig.claim(HOLD, 1).await;
                let again = *claims
                    .first()
                    .unwrap_or_else(|| panic!("stranded in round {round}"));
                head(&rig, &again).await;
                again
            }
            other => panic!("{other:?}"),
        };
        let outcome: Outcome = sent("SM");
        assert!(!finish(&rig, &mine, message, &outcome).await);
        assert_eq!(lines(&rig).await, 0);
    }
    assert!(empty > 5 && full > 5, "both orders happen: {empty}, {full}");
}
