//! Pages that agents have open.

use crate::rig::{IDS, Rig, Tenant, address, now};
use ccm_db::{
    Db, DbError, NewAuthKey, NewPop, NewText, NotTexted, Old, OpenedWith, PopChange, PopForm, PopWait,
    SentForm, Texted, UsesUp, Written,
};
use ccm_model::{AuthKeyId, MessageId, Origin, ScreenpopSettings};
use ccm_testkit::canary;
use serde_json::json;
use std::time::Duration;
use time::Duration as Span;
use uuid::Uuid;

/// A row in each of the page's tables.
pub async fn fill(db: &Db, tenant: Tenant) {
    let of = db.tenant(tenant.id);
    of.put_settings::<ScreenpopSettings>(&ScreenpopSettings::default(), None)
        .await
        .unwrap();
    let key = IDS.next();
    of.create_signing_key(key, "2026", "secret")
        .await
        .unwrap()
        .unwrap();
    let link = OpenedWith::Link {
        key,
        link: hash(key_number(tenant)),
    };
    let pop = open(db, tenant, hash(key_number(tenant) + 1), link)
        .await
        .unwrap();
    assert_eq!(of.take_pop_text(pop, 1, now()).await.unwrap(), None);
}

/// A page for texting `customer`, with a draft.
pub async fn open_for(rig: &Rig, tenant: Tenant, customer: u32) {
    let key = key(rig, tenant, customer as u8).await;
    let id = open(&rig.db, tenant, hash(1000 + customer), OpenedWith::Key(key))
        .await
        .unwrap();
    let change = PopChange {
        form: Some(Written {
            form: &PopForm {
                // As somebody typed it.
                number: canary::number(customer).replace('+', "00"),
                body: canary::body(customer),
                ..form(tenant)
            },
            customer: Some(&address(customer)),
        }),
        ..PopChange::default()
    };
    rig.db.tenant(tenant.id).change_pop(id, &change).await.unwrap();
}

/// Another one for each tenant.
fn key_number(tenant: Tenant) -> u32 {
    tenant.ours * 10
}

fn hash(n: u32) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&n.to_be_bytes());
    hash
}

fn form(tenant: Tenant) -> PopForm {
    PopForm {
        sender: address(tenant.ours),
        number: canary::number(1),
        body: String::new(),
        order: String::new(),
    }
}

async fn open(db: &Db, tenant: Tenant, token_hash: [u8; 32], with: OpenedWith) -> Result<Uuid, DbError> {
    let id = IDS.next();
    let new = NewPop {
        id,
        token_hash: &token_hash,
        with,
        claims: &json!({"agent": "Mary"}),
        form: &form(tenant),
        customer: Some(&address(1)),
        next_message: IDS.next(),
        expires_at: now() + Span::HOUR,
    };
    db.tenant(tenant.id).open_pop(&new, now()).await?;
    Ok(id)
}

async fn key(rig: &Rig, tenant: Tenant, n: u8) -> AuthKeyId {
    let id = IDS.next();
    let new = NewAuthKey {
        id,
        name: &format!("agents {n}"),
        prefix: "abcd",
        lookup_hash: &[n; 32],
        expires_at: Some(now() + Span::MINUTE),
        networks: &["10.0.0.0/8".to_owned()],
        uses: ccm_model::KeyUse::ALL,
    };
    rig.db.tenant(tenant.id).create_auth_key(new).await.unwrap();
    id
}

#[tokio::test]
async fn a_page_is_found_by_its_address_until_it_ends() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let key = key(&rig, tenant, 1).await;
    let pop = open(&rig.db, tenant, hash(1), OpenedWith::Key(key))
        .await
        .unwrap();
    let operator = rig.db.operator();
    let owner = operator.pop_owner(&hash(1), now()).await.unwrap().unwrap();
    assert_eq!((owner.tenant, owner.pop), (tenant.id, pop));
    assert_eq!(owner.networks, ["10.0.0.0/8"]);
    assert_eq!(operator.pop_owner(&hash(2), now()).await.unwrap(), None);
    // A key that ends, as one that was rotated does, lets a call that is under way end too.
    assert!(
        operator
            .pop_owner(&hash(1), now() + Span::minutes(2))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        operator
            .pop_owner(&hash(1), now() + Span::minutes(61))
            .await
            .unwrap(),
        None
    );
    rig.db
        .tenant(tenant.id)
        .revoke_auth_key(key, now(), |_| Ok::<_, DbError>(()))
        .await
        .unwrap();
    assert_eq!(
        operator.pop_owner(&hash(1), now()).await.unwrap(),
        None,
        "a revoked key ends its pages"
    );
    let other = rig.tenant(2).await;
    assert!(matches!(
        rig.db.tenant(other.id).pop(pop).await,
        Err(DbError::NotFound(_))
    ));
}

#[tokio::test]
async fn a_link_opens_one_page_and_ends_with_its_key() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let key = IDS.next();
    db.create_signing_key(key, "2026", "to hide")
        .await
        .unwrap()
        .unwrap();
    db.create_signing_key(IDS.next(), "2027", "other")
        .await
        .unwrap()
        .unwrap();
    assert!(
        db.create_signing_key(IDS.next(), "2028", "more")
            .await
            .unwrap()
            .is_none(),
        "two at a time"
    );
    let link = OpenedWith::Link { key, link: [1; 32] };
    open(&rig.db, tenant, hash(1), link).await.unwrap();
    let again = open(&rig.db, tenant, hash(2), link).await.unwrap_err();
    assert!(
        matches!(again, DbError::Conflict { missing: false, .. }),
        "{again}"
    );
    let operator = rig.db.operator();
    assert_eq!(operator.signing_key_owner(key).await.unwrap(), Some(tenant.id));
    assert!(operator.pop_owner(&hash(1), now()).await.unwrap().is_some());
    let other = rig.tenant(2).await;
    let not_theirs = rig.db.tenant(other.id).delete_signing_key(key).await;
    assert!(matches!(not_theirs, Err(DbError::NotFound(_))));
    db.delete_signing_key(key).await.unwrap();
    assert_eq!(operator.signing_key_owner(key).await.unwrap(), None);
    assert_eq!(operator.pop_owner(&hash(1), now()).await.unwrap(), None);
}

/// Sends `body` to customer 1 from the page's form.
async fn send(
    rig: &Rig,
    tenant: Tenant,
    pop: Uuid,
    sent_from: MessageId,
    body: &str,
) -> Result<Texted, NotTexted> {
    let (ours, customer, body) = (
        address(tenant.ours),
        address(1),
        ccm_model::Body::new(body).unwrap(),
    );
    let sent = SentForm {
        pop,
        form: sent_from,
        next: IDS.next(),
        after: &form(tenant),
        notice: &json!({"told": "sent"}),
    };
    let text = NewText {
        message: IDS.next(),
        conversation: IDS.next(),
        from: &ours,
        to: &customer,
        origin: Origin::Agent,
        author: "Mary",
        body: &body,
        about: None,
        answer_within: Span::HOUR,
        event: None,
        trace: None,
    };
    let db = rig.db.tenant(tenant.id);
    db.text_customer(&text, Some(UsesUp::Form(&sent)), now()).await
}

#[tokio::test]
async fn a_form_is_used_up_by_the_text_that_is_sent_from_it() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let key = key(&rig, tenant, 1).await;
    let id = open(&rig.db, tenant, hash(1), OpenedWith::Key(key))
        .await
        .unwrap();
    let m = db.pop(id).await.unwrap().next_message;
    let (one, two) = tokio::join!(send(&rig, tenant, id, m, "one"), send(&rig, tenant, id, m, "two"));
    let used = [&one, &two].map(|sent| matches!(sent, Err(NotTexted::Used)));
    assert!(used[0] != used[1], "{one:?} {two:?}");
    assert_eq!(rig.count("SELECT count(*) FROM message").await, 1);
    let kept = if used[0] { "two" } else { "one" };
    let text = db.text_of_form(id, m).await.unwrap().unwrap();
    assert_eq!((text.body.as_str(), text.to), (kept, address(1)));
    let after = db.pop(id).await.unwrap();
    assert_ne!(
        after.next_message, m,
        "moved by the transaction that stored the text"
    );
    assert_eq!(after.notice, Some(json!({"told": "sent"})));
    // A draft that was on its way meanwhile does not bring the words back.
    let late = PopForm {
        body: canary::body(1),
        ..form(tenant)
    };
    let draft = PopChange {
        form: Some(Written {
            form: &late,
            customer: Some(&address(2)),
        }),
        unless_sent: Some(m),
        ..PopChange::default()
    };
    db.change_pop(id, &draft).await.unwrap();
    assert_eq!(db.pop(id).await.unwrap().form.body, "");
    assert!(db.text_of_form(id, IDS.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_text_of_the_version_before_uses_its_form_up() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let key = key(&rig, tenant, 1).await;
    let id = open(&rig.db, tenant, hash(1), OpenedWith::Key(key))
        .await
        .unwrap();
    send(&rig, tenant, id, db.pop(id).await.unwrap().next_message, "old")
        .await
        .unwrap();
    // Killed before it moved the page on, with the form's id as the text's.
    rig.run(
        "UPDATE screenpop_session SET next_message_id = sent_texts[1], sent_forms = '{}', sent_texts = '{}'",
    )
    .await;
    let m = db.pop(id).await.unwrap().next_message;
    let again = send(&rig, tenant, id, m, "old").await;
    assert!(matches!(again, Err(NotTexted::Used)));
    assert_eq!(db.text_of_form(id, m).await.unwrap().unwrap().body, "old");
    let change = PopChange {
        used: Some((m, IDS.next())),
        ..PopChange::default()
    };
    db.change_pop(id, &change).await.unwrap();
    let next = db.pop(id).await.unwrap().next_message;
    send(&rig, tenant, id, next, "new").await.unwrap();
    assert_eq!(rig.count("SELECT count(*) FROM message").await, 2);
}

#[tokio::test]
async fn a_page_and_all_of_a_tenants_pages_have_a_rate() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let key = key(&rig, tenant, 1).await;
    let one = open(&rig.db, tenant, hash(1), OpenedWith::Key(key))
        .await
        .unwrap();
    let other = open(&rig.db, tenant, hash(2), OpenedWith::Key(key))
        .await
        .unwrap();
    let begin = now();
    for _ in 0..5 {
        assert_eq!(db.take_pop_text(one, 6, begin).await.unwrap(), None);
    }
    let PopWait { wait, of_page } = db.take_pop_text(one, 6, begin).await.unwrap().unwrap();
    assert!(of_page);
    assert!(
        wait <= Duration::from_secs(3) && wait > Duration::from_secs(2),
        "{wait:?}"
    );
    assert_eq!(db.take_pop_text(other, 6, begin).await.unwrap(), None);
    let PopWait { wait, of_page } = db.take_pop_text(other, 6, begin).await.unwrap().unwrap();
    assert!(!of_page);
    assert!(wait > Duration::from_secs(9), "{wait:?}: a sixth of a minute");
    let later = begin + Span::seconds(10);
    assert_eq!(
        db.take_pop_text(other, 6, later).await.unwrap(),
        None,
        "a refused one costs nothing"
    );
}

#[tokio::test]
async fn old_pages_are_forgotten() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let key = key(&rig, tenant, 1).await;
    for n in 0..2 {
        open(&rig.db, tenant, hash(n), OpenedWith::Key(key))
            .await
            .unwrap();
    }
    rig.run("UPDATE screenpop_session SET expires_at = now() - interval '2 hours' WHERE token_hash = decode(repeat('00', 32), 'hex')")
        .await;
    assert_eq!(
        rig.db.operator().forget(Old::ScreenpopSessions).await.unwrap(),
        (1, false)
    );
    assert_eq!(rig.count("SELECT count(*) FROM screenpop_session").await, 1);
}
