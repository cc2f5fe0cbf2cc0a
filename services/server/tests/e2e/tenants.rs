use crate::play::{CUSTOMER, Talk, all_is_well, world};
use ccm_carrier_sim::Kind;

/// The same phone talks to two tenants at once, through two dialects; each tenant's AACC has its own agents.
#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_never_see_each_others_texts() {
    let world = world().tenants([Kind::Twilio, Kind::Http]).start().await.unwrap();
    let mut talks = [Talk::new(&world, 0, CUSTOMER), Talk::new(&world, 1, CUSTOMER)];
    let mut guids = Vec::new();
    for talk in &mut talks {
        talk.text_accepted("hello").await;
        guids.push(talk.accept().await);
    }
    for _ in 0..5 {
        for (talk, guid) in talks.iter_mut().zip(&guids) {
            talk.text_accepted("for my tenant only").await;
            talk.answer(*guid, "for this customer, from this number");
        }
    }
    for talk in &talks {
        talk.agent_has_all().await;
    }
    world
        .carrier
        .wait_received(CUSTOMER, 10, crate::play::SOON)
        .await
        .unwrap();
    for tenant in &world.tenants {
        for chat in tenant.aacc.record().chats {
            assert_eq!(
                chat.ours, tenant.number,
                "an AACC has chats of its own tenant only"
            );
        }
    }
    // Each phone text came from the number that was texted.
    for text in world.carrier.record().received {
        let number = text.from.trim_start_matches('+');
        assert!(
            text.text.contains(number),
            "a text of one tenant left from another's number"
        );
    }
    all_is_well(&world).await;
}
