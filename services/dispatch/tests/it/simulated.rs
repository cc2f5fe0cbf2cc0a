//! With the carrier simulator, which is written from the providers' documentation and from nothing of ours.

use crate::{
    provider::Provider,
    rig::{FAST, Rig, SID, settings},
};
use ccm_carrier_sim::{Account, Config, Fault, FaultOrder, Kind, PhoneText, Rate, ReceivedText, Setup, Sim};
use ccm_model::{MessageState, ProviderKind};
use ccm_testkit::canary;

/// The account's secret in [`crate::rig`].
const TOKEN: &str = "a token";

async fn sim() -> Sim {
    let account = Account {
        kind: Kind::Twilio,
        name: SID.into(),
        secret: TOKEN.into(),
        webhook_url: None,
    };
    let setup = Setup {
        accounts: vec![account],
        numbers: [(canary::number(90_001), SID.to_owned())].into(),
    };
    Sim::start(Config {
        setup,
        ..Config::default()
    })
    .await
    .unwrap()
}

fn got(sim: &Sim, customer: u32) -> Vec<ReceivedText> {
    let phone = sim.phone(&canary::number(customer));
    let got = phone.into_iter().filter_map(|text| match text {
        PhoneText::Received(text) => Some(text),
        PhoneText::Sent(_) => None,
    });
    got.collect()
}

fn order(fault: Fault) -> FaultOrder {
    FaultOrder {
        fault,
        times: 1,
        account: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_whose_answer_was_lost_reaches_the_phone_once() {
    let (rig, sim) = (Rig::new().await, sim().await);
    let tenant = rig
        .tenant(
            1,
            ProviderKind::Twilio,
            &Provider::elsewhere(sim.api_base()),
            FAST,
        )
        .await;
    let chat = rig.chat(tenant, 1).await;
    let _dispatcher = rig.dispatcher(settings());
    let faults = [
        Fault::Hang { taken: true },
        Fault::Reset { taken: true },
        Fault::Answer {
            status: 500,
            code: None,
            retry_after_s: None,
            taken: true,
        },
        Fault::Hang { taken: false },
        Fault::Reset { taken: false },
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        sim.fault(order(fault.clone()));
        let text = rig.say(chat, "the same words").await;
        let row = rig.until(chat, text, MessageState::Sent).await;
        let reached = got(&sim, 1);
        assert_eq!(reached.len(), n + 1, "{fault:?}");
        assert_eq!(row.provider_message_id.as_deref(), Some(reached[n].id.as_str()));
        let taken = n < 3;
        assert_eq!(row.resends, i32::from(!taken), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_counts_segments_sees_no_violation_from_two_pods() {
    let (rig, sim) = (Rig::new().await, sim().await);
    // A second's worth at once, since this machine is busy: what comes in late is followed sooner. All at once would be three.
    let rate = Rate {
        segments_per_second: 20.0,
        burst: Some(20.0),
    };
    sim.set_rate(&canary::number(90_001), Some(rate)).unwrap();
    let tenant = rig
        .tenant(
            1,
            ProviderKind::Twilio,
            &Provider::elsewhere(sim.api_base()),
            20.0,
        )
        .await;
    let mut said = Vec::new();
    for customer in 0..15 {
        let chat = rig.chat(tenant, customer).await;
        for n in 0..2 {
            let words = "x".repeat([20, 200, 400][(customer as usize + n) % 3]);
            said.push((chat, rig.say(chat, &words).await));
        }
    }
    let _dispatchers = [rig.dispatcher(settings()), rig.dispatcher(settings())];
    for (chat, id) in said {
        let row = rig.until(chat, id, MessageState::Sent).await;
        assert_eq!(row.resends, 0);
    }
    assert_eq!(sim.stats().rate_violations.values().sum::<u64>(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_opted_out_at_the_carrier_is_asked_about_once() {
    let (rig, sim) = (Rig::new().await, sim().await);
    let tenant = rig
        .tenant(
            1,
            ProviderKind::Twilio,
            &Provider::elsewhere(sim.api_base()),
            FAST,
        )
        .await;
    let chat = rig.chat(tenant, 1).await;
    sim.set_opt_out(&canary::number(90_001), &canary::number(1), true)
        .unwrap();
    let first = rig.say(chat, "first").await;
    let second = rig.say(chat, "second").await;
    let _dispatcher = rig.dispatcher(settings());
    let second = rig.until(chat, second, MessageState::Failed).await;
    assert_eq!(second.error_code.as_deref(), Some("ccm:opted_out"));
    assert_eq!(
        rig.message(chat, first).await.error_code.as_deref(),
        Some("21610")
    );
    assert!(got(&sim, 1).is_empty());
}
