//! SIGTERM under load, to a pod of each role that has another beside it: providers get no 5xx, no text is lost or doubled, and live
//! chats go over to the other connector.

use crate::{
    crowd::{Crowd, all_guids, drain, no_post_was_refused, nobody_logged_an_error, settled, world},
    play::{nothing_leaked, we_spoke_as_it_is_spoken},
};
use ccm_aacc_sim::Event;
use ccm_carrier_sim::Kind;
use ccm_demo::World;
use futures::StreamExt;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

#[derive(Clone, Copy)]
struct Form {
    chats: u32,
    tenants: usize,
    /// Sockets a second that are opened to each tenant's AACC.
    connects_per_second: f64,
    /// Between two texts of anybody; each is answered.
    pace: Duration,
    lease: Duration,
    /// Of all chats, from SIGTERM to their new sockets.
    limit: Duration,
}

/// All are back before the lease, a long one, could have run out: they were handed over.
#[tokio::test(flavor = "multi_thread")]
async fn pods_of_each_role_are_drained_under_load() {
    let lease = Duration::from_secs(60);
    pods_are_drained(Form {
        chats: 100,
        tenants: 4,
        connects_per_second: 100.0,
        pace: Duration::from_millis(100),
        lease,
        limit: lease,
    })
    .await;
}

/// With the default lease. The figures in docs/operations.md are from here.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn long_a_thousand_chats_and_more_are_handed_over() {
    let mut rows = Vec::new();
    // aacc-sim's skillset takes 50 chats of a tenant.
    for (chats, tenants, connects_per_second) in [
        (1_000, 20, 100.0),
        (1_000, 100, 10.0),
        (1_000, 20, 10.0),
        (3_000, 60, 100.0),
    ] {
        let dialled = f64::from(chats) / tenants as f64 / connects_per_second;
        let form = Form {
            chats,
            tenants,
            connects_per_second,
            pace: Duration::from_millis(50),
            lease: Duration::from_secs(5),
            limit: Duration::from_secs_f64(dialled + 60.0),
        };
        rows.push(format!(
            "| {chats} | {tenants} | {connects_per_second} | {} |",
            pods_are_drained(form).await
        ));
    }
    println!(
        "| chats | tenants | sockets/s of a tenant | from SIGTERM, s: half are back | 99 % | all | process has ended | without socket, s: median | 99 % | longest |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n{}",
        rows.join("\n")
    );
}

async fn pods_are_drained(form: Form) -> HandOver {
    let once = ["connector"];
    let twice = ["ingest", "dispatch", "admin", "screenpop", "deflection", "events"];
    let second = twice.map(|role| format!("{role}-2"));
    let roles = once.into_iter().chain(twice).map(ToOwned::to_owned);
    let roles: Vec<String> = roles.chain(second.clone()).collect();
    let lease_ms = form.lease.as_millis().to_string();
    let mut world = world()
        .tenants((0..form.tenants).map(|n| [Kind::Twilio, Kind::Http][n % 2]))
        .connects_per_second(form.connects_per_second)
        .stack(move |stack| {
            stack
                .roles(roles)
                .ingest_service()
                .env("CCM__CONNECTOR__LEASE_MS", lease_ms)
        })
        .start()
        .await
        .unwrap();
    let crowd = Crowd::gather(&world, form.chats).await;
    let guids = all_guids(&world);
    let texting = crowd.go_on(form.pace, 1);
    sleep(Duration::from_secs(1)).await;

    // It is asked to end before it would hand a share over by itself.
    world.stack.add("connector-2").await.unwrap();
    let watch = Watch::begin(&world);
    let began = Instant::now();
    drain(&mut world, "connector").await;
    let ended = began.elapsed();
    let hand_over = watch.all_are_back(&form, began, ended).await;
    println!(
        "hand-over of {} live chats of {} tenants, {}/s each, {:.0} texts/s in and as many answers: {hand_over:#}",
        form.chats,
        form.tenants,
        form.connects_per_second,
        1.0 / form.pace.as_secs_f64(),
    );
    for role in &second {
        drain(&mut world, role).await;
    }
    sleep(Duration::from_secs(1)).await;
    drop(texting);

    let report = settled(&world).await;
    println!("{} texts in\n{report}", crowd.said());
    assert!(report.is_clean() && report.dead.is_empty(), "{report}");
    assert_eq!(report.doubled_with_mark, 0, "nothing was in doubt: {report}");
    assert_eq!(all_guids(&world), guids, "every chat went on under its guid");
    for chat in world.tenants.iter().flat_map(|t| t.aacc.chats()) {
        assert_eq!(chat.resumes, 1, "one socket after the other: {chat:?}");
    }
    no_post_was_refused(&world).await;
    we_spoke_as_it_is_spoken(&world);
    nobody_logged_an_error(&world);
    nothing_leaked(&world).await;
    hand_over
}

#[derive(Debug, Clone, Copy, Default)]
struct Sockets {
    lost: Option<Instant>,
    back: Option<Instant>,
}

/// When each chat has lost its socket, and when it had the next one. A guid is one tenant's.
type Seen = Arc<Mutex<BTreeMap<(usize, u64), Sockets>>>;

struct Watch {
    seen: Seen,
    tasks: Vec<JoinHandle<()>>,
}

impl Watch {
    fn begin(world: &World) -> Self {
        let seen = Seen::default();
        let follow = |(n, tenant): (usize, &ccm_demo::Tenant)| {
            let (seen, events) = (seen.clone(), tenant.aacc.events());
            tokio::spawn(async move {
                let mut events = std::pin::pin!(events);
                while let Some(event) = events.next().await {
                    let now = Instant::now();
                    let mut seen = seen.lock().expect("nobody panics with it");
                    match event {
                        Event::LinkLost { guid } => seen.entry((n, guid)).or_default().lost = Some(now),
                        Event::Resumed { guid, .. } => seen.entry((n, guid)).or_default().back = Some(now),
                        _ => {}
                    }
                }
            })
        };
        let tasks = world.tenants.iter().enumerate().map(follow).collect();
        Self { seen, tasks }
    }

    async fn all_are_back(self, form: &Form, began: Instant, ended: Duration) -> HandOver {
        let all: Vec<Sockets> = loop {
            let seen: Vec<Sockets> = self
                .seen
                .lock()
                .expect("nobody panics with it")
                .values()
                .copied()
                .collect();
            let back = seen.iter().filter(|s| s.back.is_some()).count();
            if back == form.chats as usize {
                break seen;
            }
            assert!(
                began.elapsed() < form.limit,
                "{back} of {} chats are back after {:?}",
                form.chats,
                form.limit
            );
            sleep(Duration::from_millis(20)).await;
        };
        for task in self.tasks {
            task.abort();
        }
        let times = |of: &dyn Fn(&Sockets) -> Duration| {
            let mut times: Vec<Duration> = all.iter().map(of).collect();
            times.sort_unstable();
            [50, 99, 100].map(|percent| times[(times.len() * percent).div_ceil(100) - 1])
        };
        let back = |s: &Sockets| s.back.expect("looked at above");
        HandOver {
            back: times(&|s| back(s) - began),
            ended,
            without: times(&|s| {
                s.lost
                    .map_or(Duration::ZERO, |lost| back(s).saturating_duration_since(lost))
            }),
        }
    }
}

/// Half, 99 % and all.
struct HandOver {
    /// From SIGTERM to the chat's next socket.
    back: [Duration; 3],
    /// From SIGTERM to the end of the process.
    ended: Duration,
    without: [Duration; 3],
}

/// In seconds; as a sentence with `#`, else as cells of a table.
impl fmt::Display for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most, all] = self.back.map(|d| d.as_secs_f64());
        let [median, nearly, longest] = self.without.map(|d| d.as_secs_f64());
        let ended = self.ended.as_secs_f64();
        if f.alternate() {
            write!(
                f,
                "from SIGTERM half are back in {half:.2} s, 99 % in {most:.2} s, all in {all:.2} s; the process has ended after {ended:.2} s; \
                 without a socket: median {median:.2} s, 99 % {nearly:.2} s, longest {longest:.2} s"
            )
        } else {
            write!(
                f,
                "{half:.2} | {most:.2} | {all:.2} | {ended:.2} | {median:.2} | {nearly:.2} | {longest:.2}"
            )
        }
    }
}
