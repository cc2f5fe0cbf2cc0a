//! How long each kind of fault keeps a text from its agent: a table, for docs/operations.md. Counts are judged, times are not.

use crate::play::{CUSTOMER, Talk, all_is_well, world};
use ccm_aacc_sim::{Break, NewConnections, Target};
use ccm_demo::World;
use ccm_testkit::StopMode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What breaks, and whether it mends by itself or is mended after [`AWAY`].
#[derive(Debug, Clone, Copy)]
enum Fault {
    Closed,
    Reset,
    BlackHole,
    PingsUnanswered,
    AckWithheld,
    TextRefused,
    SessionExpired,
    DialsRefused,
    DialsHang,
    Maintenance,
    ConnectorKilled,
    ConnectorDrained,
    PostgresCrashed,
    RedisAway,
}

const AWAY: Duration = Duration::from_secs(3);

const ALL: [(Fault, &str); 14] = [
    (Fault::Closed, "socket closed with 1001"),
    (Fault::Reset, "socket reset"),
    (Fault::BlackHole, "link carries nothing and does not close"),
    (Fault::PingsUnanswered, "pings unanswered, texts too"),
    (Fault::AckWithheld, "an acknowledgement is withheld"),
    (Fault::TextRefused, "a text is refused once"),
    (Fault::SessionExpired, "AACC has forgotten the chat"),
    (Fault::DialsRefused, "link down, dials refused, for 3 s"),
    (Fault::DialsHang, "link down, dials hang, for 3 s"),
    (Fault::ConnectorKilled, "connector killed and started again"),
    (Fault::ConnectorDrained, "connector drained and started again"),
    (Fault::PostgresCrashed, "Postgres crashed and started again"),
    (Fault::RedisAway, "Redis away for 3 s"),
    (Fault::Maintenance, "link down, AACC says 503, for 3 s"),
];

const PATIENCE: Duration = Duration::from_secs(120);

/// Each fault in turn, three times, in one conversation. `CCM_FAULTS`: only those whose names have one of these words (`a,b`).
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn long_each_fault_and_how_long_it_takes_to_recover() {
    let mut world = world()
        .stack(|stack| {
            stack
                .env("RUST_LOG", "info")
                .env("CCM__CONNECTOR__PING_MS", "2000")
                .env("CCM__CONNECTOR__PONG_TIMEOUT_MS", "6000")
                .env("CCM__CONNECTOR__ACK_TIMEOUT_MS", "6000")
        })
        .start()
        .await
        .unwrap();
    let mut guid = {
        let mut talk = Talk::new(&world, 0, CUSTOMER);
        talk.text_accepted("hello").await;
        let guid = talk.accept().await;
        talk.agent_has_all().await;
        guid
    };
    let mut n = 0;
    println!("| fault | text in to agent, ms, three times |\n| --- | --- |");
    let wanted = std::env::var("CCM_FAULTS").unwrap_or_default();
    let is_wanted = |name: &str| wanted.split(',').any(|word| name.contains(word));
    for (fault, name) in ALL.into_iter().filter(|(_, name)| is_wanted(name)) {
        let mut times = Vec::new();
        for _ in 0..3 {
            n += 1;
            let began = inject(&mut world, fault, guid).await;
            let text = format!("#c-recovery-{n} after the fault");
            world
                .carrier
                .text(CUSTOMER, &world.tenants[0].number, &text)
                .unwrap();
            if !matches!(
                fault,
                Fault::Closed | Fault::Reset | Fault::BlackHole | Fault::AckWithheld
            ) {
                mend(&mut world, fault).await;
            }
            if matches!(fault, Fault::SessionExpired) {
                let chat = world.tenants[0]
                    .aacc
                    .wait_for_chat(
                        |c| {
                            c.guid != guid && c.agents.is_empty() && c.state != ccm_aacc_sim::ChatState::Ended
                        },
                        Duration::from_secs(120),
                    )
                    .await
                    .expect("a new chat for the same customer");
                guid = chat.guid;
                world.tenants[0]
                    .aacc
                    .join(guid, ccm_aacc_sim::Agent::new("7000", "Russell"))
                    .unwrap();
            }
            let tag = format!("#c-recovery-{n} ");
            world.tenants[0]
                .aacc
                .wait_for(
                    guid,
                    move |c| c.transcript.iter().any(|l| l.text.starts_with(&tag)),
                    PATIENCE,
                )
                .await
                .unwrap_or_else(|e| panic!("{name}: the text does not arrive: {e}"));
            times.push(began.elapsed().as_millis().to_string());
            sleep(Duration::from_secs(2)).await;
        }
        println!("| {name} | {} |", times.join(", "));
    }
    all_is_well(&world).await;
}

/// Returns when the clock of the recovery begins: with the fault, or with its end where it lasts.
async fn inject(world: &mut World, fault: Fault, guid: u64) -> Instant {
    let aacc = &world.tenants[0].aacc;
    let down = |new: NewConnections| {
        aacc.set_faults(|f| f.new_connections = new);
        aacc.break_sockets(Target::Chat(guid), Break::Reset);
    };
    match fault {
        Fault::Closed => drop(aacc.break_sockets(Target::Chat(guid), Break::Close)),
        Fault::Reset => drop(aacc.break_sockets(Target::Chat(guid), Break::Reset)),
        Fault::BlackHole => drop(aacc.break_sockets(Target::Chat(guid), Break::BlackHole)),
        Fault::PingsUnanswered => aacc.set_faults(|f| {
            f.ignore_pings = true;
            f.withhold_acks = 1;
        }),
        Fault::AckWithheld => aacc.set_faults(|f| f.withhold_acks = 1),
        Fault::TextRefused => aacc.set_faults(|f| f.refuse_texts = 1),
        Fault::SessionExpired => drop(aacc.expire(Target::Chat(guid))),
        Fault::DialsRefused => down(NewConnections::Refuse),
        Fault::DialsHang => down(NewConnections::Hang),
        Fault::Maintenance => {
            aacc.set_faults(|f| f.maintenance = true);
            aacc.break_sockets(Target::Chat(guid), Break::Reset);
        }
        Fault::ConnectorKilled => world.stack.kill9("connector").unwrap(),
        Fault::ConnectorDrained => {
            world.stack.sigterm("connector").unwrap();
            world
                .stack
                .wait("connector", Duration::from_secs(60))
                .await
                .unwrap();
        }
        Fault::PostgresCrashed => world.stack.pg().restart(StopMode::Immediate).unwrap(),
        Fault::RedisAway => world.stack.redis().kill().unwrap(),
    }
    match fault {
        Fault::DialsRefused | Fault::DialsHang | Fault::Maintenance => {
            sleep(AWAY).await;
            Instant::now()
        }
        _ => Instant::now(),
    }
}

async fn mend(world: &mut World, fault: Fault) {
    let aacc = &world.tenants[0].aacc;
    match fault {
        Fault::DialsRefused | Fault::DialsHang => {
            aacc.set_faults(|f| f.new_connections = NewConnections::Accept)
        }
        Fault::Maintenance => aacc.set_faults(|f| f.maintenance = false),
        Fault::PingsUnanswered => {
            sleep(Duration::from_secs(1)).await;
            aacc.set_faults(|f| f.ignore_pings = false);
        }
        Fault::ConnectorKilled | Fault::ConnectorDrained => world.stack.start("connector").await.unwrap(),
        Fault::RedisAway => {
            sleep(AWAY).await;
            world.stack.redis().start_again().unwrap();
        }
        _ => {}
    }
}
