use crate::play::{CUSTOMER, SOON, Talk, all_is_well, world};
use ccm_carrier_sim::{Fault, Kind};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_text_reaches_the_agent_and_the_answer_comes_back() {
    for kind in [Kind::Twilio, Kind::Http] {
        let world = world().tenants([kind]).start().await.unwrap();
        let mut talk = Talk::new(&world, 0, CUSTOMER);
        talk.text_accepted("Can you please resend my ticket number?")
            .await;
        talk.text_accepted("I wait.").await;
        let guid = talk.accept().await;
        talk.agent_has_all().await;
        talk.answer(guid, "Hello, how can I help you today?");
        talk.phone_has_all().await;
        talk.text_accepted("Thank you").await;
        talk.agent_has_all().await;
        all_is_well(&world).await;
    }
}

/// A tenant of each other dialect, in one world: text in, answer out, what became of it told and taken.
#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_carries_a_conversation() {
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| ![Kind::Twilio, Kind::Http].contains(kind))
        .collect();
    let world = world().tenants(kinds.clone()).start().await.unwrap();
    for (n, kind) in kinds.iter().enumerate() {
        let mut talk = Talk::new(&world, n, CUSTOMER);
        talk.text_accepted("hello").await;
        let guid = talk.accept().await;
        talk.agent_has_all().await;
        talk.answer(guid, "how can I help you?");
        // The phone is the same for all of them.
        let texts = world.carrier.wait_received(CUSTOMER, n + 1, SOON).await;
        let texts = texts.unwrap_or_else(|e| panic!("{kind:?}: {e}"));
        assert_eq!(texts[n].from, talk.tenant.number, "{kind:?}");
    }
    world.carrier.wait_quiet(SOON).await.unwrap();
    let received = world
        .carrier
        .wait_received(CUSTOMER, kinds.len(), SOON)
        .await
        .unwrap();
    for (text, kind) in received.iter().zip(kinds) {
        let receipts = &text.receipts;
        assert_eq!(receipts.len(), 2, "{kind:?}: {receipts:?}");
        assert!(
            receipts.iter().all(|receipt| receipt.accepted),
            "{kind:?}: {receipts:?}"
        );
    }
    all_is_well(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn angle_brackets_survive_in_both_directions() {
    let world = world().start().await.unwrap();
    let mut talk = Talk::new(&world, 0, CUSTOMER);
    talk.text_accepted("a < b").await;
    let guid = talk.accept().await;
    talk.agent_has_all().await;
    let chat = talk.tenant.aacc.chat(guid).unwrap();
    let shown = &chat
        .transcript
        .iter()
        .find(|l| l.text.contains(" b"))
        .unwrap()
        .displayed;
    assert!(
        shown.ends_with("a ‹ b"),
        "the agent reads what the customer wrote: {shown}"
    );
    talk.answer(guid, "1 &lt; 2 &amp; 3");
    let text = talk.phone_has_all().await;
    assert!(text.ends_with("1 < 2 & 3"), "{text}");
    all_is_well(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_text_gets_403_and_leaves_no_row() {
    let world = world().start().await.unwrap();
    let tenant = &world.tenants[0];
    let body = [
        ("MessageSid", "SM00000000000000000000000000000001"),
        ("AccountSid", tenant.account.as_str()),
        ("From", CUSTOMER),
        ("To", tenant.number.as_str()),
        ("Body", "forged"),
    ];
    let http = reqwest::Client::new();
    for signature in [Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA="), None] {
        let mut request = http.post(&tenant.made.accounts[0].webhook_url).form(&body);
        if let Some(signature) = signature {
            request = request.header("X-Twilio-Signature", signature);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 403);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["status"], 403);
    }
    assert!(world.admin.transcripts(&tenant.made.id).await.unwrap().is_empty());

    // The same refusal for a provider that signs with another secret; a text after it is taken.
    world.carrier.fault(Fault::WrongSignature);
    let mut talk = Talk::new(&world, 0, CUSTOMER);
    talk.text_accepted("taken at the second try").await;
    talk.accept().await;
    talk.agent_has_all().await;
    all_is_well(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_posted_twice_reaches_the_agent_once() {
    let world = world().start().await.unwrap();
    let mut talk = Talk::new(&world, 0, CUSTOMER);
    world.carrier.fault(Fault::DuplicatePost {
        copies: 2,
        new_id: false,
    });
    let seq = talk.text("once");
    let sent = world.carrier.wait_accepted(seq, SOON).await.unwrap();
    talk.accept().await;
    talk.agent_has_all().await;
    talk.text_accepted("and another").await;
    talk.agent_has_all().await;
    let posts = world.carrier.sent(sent.seq).unwrap().posts;
    assert_eq!(posts, 3, "it was posted three times");
    all_is_well(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_ends_a_new_text_opens_again() {
    let world = world().start().await.unwrap();
    let mut talk = Talk::new(&world, 0, CUSTOMER);
    talk.text_accepted("first").await;
    let first = talk.accept().await;
    talk.agent_has_all().await;
    talk.answer(first, "goodbye");
    talk.phone_has_all().await;
    talk.tenant.aacc.leave(first, None, true).unwrap();
    talk.text_accepted("me again").await;
    let second = talk.accept().await;
    assert_ne!(first, second);
    talk.agent_has_all().await;
    // The last agent leaves without ending: texts are held until the next one comes.
    talk.tenant.aacc.leave(second, None, false).unwrap();
    talk.text_accepted("held").await;
    talk.text_accepted("and held").await;
    assert_eq!(talk.accept().await, second);
    talk.agent_has_all().await;
    all_is_well(&world).await;
}
