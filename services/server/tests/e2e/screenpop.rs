//! A voice agent texts the caller from the page in Agent Desktop; the answer becomes a chat that knows of it.

use crate::play::{CUSTOMER, SOON, Talk, nothing_leaked, we_spoke_as_it_is_spoken, world};
use ccm_demo::World;
use ccm_testkit::canary;
use reqwest::redirect::Policy;
use serde_json::json;

/// The page that a call opens; returns its address.
async fn opened(world: &World, client: &reqwest::Client) -> String {
    let tenant = &world.tenants[0];
    let base = world.stack.address("screenpop").unwrap();
    let query = [
        ("auth", tenant.made.auth_key.as_str()),
        ("dialed", tenant.number.trim_start_matches('+')),
        ("dest", CUSTOMER.trim_start_matches('+')),
        ("agent", "Mary"),
        ("contact", "4711"),
    ];
    let opened = client.get(format!("{base}/")).query(&query).send().await.unwrap();
    assert_eq!(opened.status(), 303, "{}", opened.text().await.unwrap());
    format!("{base}{}", opened.headers()["location"].to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_voice_agents_text_becomes_a_chat_with_context() {
    let world = world().start().await.unwrap();
    let settings = format!("/tenants/{}/chat-settings", world.tenants[0].made.id);
    let mut document = world.admin.get(&settings).await.unwrap();
    let fields = document["customer"]["fields"].as_array_mut().unwrap();
    fields.retain(|field| field["title"] != "context");
    fields.push(json!({"title": "context", "value": "{context}"}));
    world.admin.put(&settings, &document).await.unwrap();

    let client = reqwest::Client::builder()
        .redirect(Policy::none())
        .build()
        .unwrap();
    let page = opened(&world, &client).await;
    let shown = client.get(&page).send().await.unwrap().text().await.unwrap();
    let (_, m) = shown.split_once("name=\"m\" value=\"").unwrap();
    let m = m.split_once('"').unwrap().0;
    let words = format!("{} please text us your order number", canary::body(900));
    let form = [
        ("m", m),
        ("number", CUSTOMER),
        ("body", &words),
        ("order", "17"),
        ("do", "send"),
    ];
    // A double click, as fast as it gets.
    let (one, two) = tokio::join!(
        client.post(&page).form(&form).send(),
        client.post(&page).form(&form).send()
    );
    assert_eq!(
        (one.unwrap().status().as_u16(), two.unwrap().status().as_u16()),
        (303, 303)
    );
    let got = world.carrier.wait_received(CUSTOMER, 1, SOON).await.unwrap();
    assert_eq!(got[0].text, words);

    let mut talk = Talk::new(&world, 0, CUSTOMER);
    talk.text_accepted("it is 17").await;
    let chat = talk.chat().await;
    let context = (
        "context".to_owned(),
        "agent: Mary; contact: 4711; order: 17".to_owned(),
    );
    assert!(chat.custom_fields.contains(&context), "{:?}", chat.custom_fields);
    let guid = talk.accept().await;
    let note = format!("[CCM] Mary texted the customer: {words}");
    let noted =
        |chat: &ccm_aacc_sim::ChatView| chat.transcript.iter().any(|line| line.text.starts_with(&note));
    talk.tenant
        .aacc
        .wait_for_chat(noted, SOON)
        .await
        .expect("the agent knows what was written");
    talk.answer(guid, "Thank you");
    world.carrier.wait_received(CUSTOMER, 2, SOON).await.unwrap();
    let history = client
        .get(format!("{page}/history"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        history.contains("it is 17") && history.contains("Thank you"),
        "{history}"
    );
    assert_eq!(
        world
            .carrier
            .wait_received(CUSTOMER, 2, SOON)
            .await
            .unwrap()
            .len(),
        2,
        "nothing was sent twice"
    );
    nothing_leaked(&world).await;
    we_spoke_as_it_is_spoken(&world);
}
