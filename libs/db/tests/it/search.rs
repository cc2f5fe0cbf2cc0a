//! Finding texts by their words: what is found, by whom, and at what cost.

use crate::rig::{Rig, Tenant, address, connect, incoming, now};
use ccm_db::{DbError, Found, MessageSearch, SearchPart};
use ccm_model::{Body, Direction, Origin};
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

async fn text(rig: &Rig, tenant: Tenant, customer: u32, body: &str) {
    let mut text = incoming(tenant, customer);
    text.body = Body::new(body).unwrap();
    rig.db.batch().accept(&[text]).await.unwrap();
}

fn words(words: &[&str]) -> MessageSearch {
    MessageSearch {
        beginnings: words.iter().map(|&word| word.to_owned()).collect(),
        ..MessageSearch::default()
    }
}

fn part() -> SearchPart {
    SearchPart {
        since: now() - time::Duration::days(30),
        until: now() + time::Duration::MINUTE,
        before: None,
        limit: 50,
    }
}

async fn found(rig: &Rig, tenant: Tenant, search: &MessageSearch) -> Vec<String> {
    bodies(
        rig.db
            .tenant(tenant.id)
            .search_messages(search, part())
            .await
            .unwrap(),
    )
}

fn bodies(found: Found) -> Vec<String> {
    found
        .items
        .into_iter()
        .map(|row| row.message.body.into())
        .collect()
}

#[tokio::test]
async fn texts_are_found_by_how_their_words_begin() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    for body in [
        "Where is my order-12345?",
        "Ihre Größe ist ÄRGERLICH klein",
        "mail me at joe@example.com or <b>call</b>",
        "ordinary",
    ] {
        text(&rig, a, 1, body).await;
    }
    text(&rig, b, 1, "order of B").await;
    for (asked, expected) in [
        (vec!["12345"], vec!["Where is my order-12345?"]),
        (vec!["ORD"], vec!["ordinary", "Where is my order-12345?"]),
        (vec!["order", "wher"], vec!["Where is my order-12345?"]),
        (vec!["order-123"], vec!["Where is my order-12345?"]),
        (vec!["ärger", "größ"], vec!["Ihre Größe ist ÄRGERLICH klein"]),
        (
            vec!["joe@example.com"],
            vec!["mail me at joe@example.com or <b>call</b>"],
        ),
        (vec!["call"], vec!["mail me at joe@example.com or <b>call</b>"]),
        (vec!["rder"], vec![]),
        (vec!["order", "ordinary"], vec![]),
        (vec!["' | !", "\\", ":*"], vec![]),
    ] {
        assert_eq!(found(&rig, a, &words(&asked)).await, expected, "{asked:?}");
    }
    assert_eq!(found(&rig, b, &words(&["ord"])).await, ["order of B"]);
    let mut phrase = MessageSearch {
        phrases: vec!["MY order".to_owned()],
        ..MessageSearch::default()
    };
    assert_eq!(found(&rig, a, &phrase).await, ["Where is my order-12345?"]);
    phrase.phrases = vec!["order my".to_owned()];
    assert_eq!(found(&rig, a, &phrase).await, [""; 0]);
}

#[tokio::test]
async fn what_is_found_can_be_narrowed_and_comes_in_parts() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    rig.say(&fence, conversation, chat).await;
    for n in 0..5 {
        text(&rig, tenant, 7, &format!("needle number {n}")).await;
    }
    text(&rig, tenant, 8, "another needle").await;
    let of = |change: fn(&mut MessageSearch)| {
        let mut search = words(&["needle"]);
        change(&mut search);
        search
    };
    assert_eq!(found(&rig, tenant, &of(|_| ())).await.len(), 6);
    for (change, count) in [
        ((|s| s.customer = Some(address(7))) as fn(&mut MessageSearch), 5),
        (|s| s.customer = Some(address(9)), 0),
        (|s| s.direction = Some(Direction::Mt), 0),
        (|s| s.origin = Some(Origin::Customer), 6),
        (|s| s.state = Some(ccm_model::MessageState::Delivered), 0),
        (|s| s.ours = Some(address(5)), 0),
        (|s| s.author = Some("Agent Smith".to_owned()), 0),
        (|s| s.phrases = vec!["number 3".to_owned()], 1),
    ] {
        assert_eq!(found(&rig, tenant, &of(change)).await.len(), count);
    }
    // A customer's texts without a word; what the agent said is among them, with the chat's skillset.
    let mut all = MessageSearch {
        customer: Some(address(1)),
        ..MessageSearch::default()
    };
    assert_eq!(found(&rig, tenant, &all).await.len(), 2);
    all.skillset = Some("WC_Default_Skillset".to_owned());
    all.author = Some("Agent Smith".to_owned());
    assert_eq!(found(&rig, tenant, &all).await.len(), 1);

    for search in [of(|_| ()), of(|s| s.customer = Some(address(7)))] {
        let whole = found(&rig, tenant, &search).await;
        let (mut parts, mut before) = (Vec::new(), None);
        loop {
            let part = SearchPart {
                before,
                limit: 2,
                ..part()
            };
            let next = rig
                .db
                .tenant(tenant.id)
                .search_messages(&search, part)
                .await
                .unwrap();
            before = next.go_on;
            parts.extend(bodies(next));
            if before.is_none() {
                break;
            }
        }
        assert_eq!(parts, whole);
    }
    let old = SearchPart {
        since: now() - time::Duration::days(300),
        until: now() - time::Duration::DAY,
        ..part()
    };
    let db = rig.db.tenant(tenant.id);
    assert_eq!(
        bodies(db.search_messages(&words(&["needle"]), old).await.unwrap()),
        [""; 0]
    );
}

/// The function runs with its owner's rights, so everything about the tenant is tried on it.
#[tokio::test]
async fn the_function_binds_one_tenant_whoever_calls_it_and_how() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    text(&rig, a, 1, "secret of a").await;
    text(&rig, b, 1, "secret of b").await;
    let call = "SELECT count(*) FROM search_messages(ARRAY['secret'], '{}', now() - interval '1 day', now() + interval '1 day',
                  'ffffffff-ffff-ffff-ffff-ffffffffffff', 10)";
    let mut app = connect(rig.test.app_url()).await;
    async fn under(app: &mut PgConnection, tenants: &str, call: &str) -> Result<i64, String> {
        let begin = format!("BEGIN; SELECT set_config('app.tenant_ids', '{tenants}', true)");
        app.execute(AssertSqlSafe(begin)).await.unwrap();
        let row = app.fetch_one(AssertSqlSafe(call.to_owned())).await;
        let answer = row.map(|row| row.get(0)).map_err(|error| {
            let error = error.into_database_error().unwrap();
            error.code().unwrap_or_default().into_owned()
        });
        app.execute("ROLLBACK").await.unwrap();
        answer
    }
    assert_eq!(under(&mut app, &a.id.to_string(), call).await, Ok(1));
    for (tenants, refused) in [
        (String::new(), "42501"),
        (format!("{},{}", a.id, b.id), "42501"),
        (format!("{},{}", a.id, a.id), "42501"),
        ("NULL".to_owned(), "22P02"),
        (format!("{}' OR true", a.id).replace('\'', "''"), "22P02"),
    ] {
        assert_eq!(
            under(&mut app, &tenants, call).await,
            Err(refused.to_owned()),
            "{tenants:?}"
        );
    }
    // Without any setting at all.
    let refused = app
        .fetch_one(call)
        .await
        .unwrap_err()
        .into_database_error()
        .unwrap();
    assert_eq!(refused.code().as_deref(), Some("42501"));
    // A word that looks like the other tenant's in the index, and words that are operators, find nothing of it.
    let mark = b.id.to_string().split_at(24).1.to_owned();
    for odd in [
        format!("{mark}secret"),
        format!("x'' | ''{mark}secret"),
        "secret'':* | ''secret".to_owned(),
    ] {
        let sql = call.replace("ARRAY['secret']", &format!("ARRAY['{odd}']"));
        let answer = under(&mut app, &a.id.to_string(), &sql).await.unwrap();
        assert!(answer <= 1, "{odd}");
    }
    // Tables and functions of the caller's own are not taken for ours.
    app.execute("CREATE TEMP TABLE message_other (id uuid, tenant_id uuid, body text)")
        .await
        .unwrap();
    assert_eq!(under(&mut app, &a.id.to_string(), call).await, Ok(1));
    for (bad, code) in [
        ("NULL, now(), 'ffffffff-ffff-ffff-ffff-ffffffffffff', 10", "22023"),
        (
            "now() - interval '401 days', now(), 'ffffffff-ffff-ffff-ffff-ffffffffffff', 10",
            "22023",
        ),
        ("now(), now(), NULL, 10", "22023"),
        ("now(), now(), 'ffffffff-ffff-ffff-ffff-ffffffffffff', 0", "22023"),
        (
            "now(), now(), 'ffffffff-ffff-ffff-ffff-ffffffffffff', 1001",
            "22023",
        ),
    ] {
        let sql = format!("SELECT count(*) FROM search_messages(ARRAY['secret'], '{{}}', {bad})");
        assert_eq!(
            under(&mut app, &a.id.to_string(), &sql).await,
            Err(code.to_owned()),
            "{bad}"
        );
    }
    let mut system = connect(rig.test.system_url()).await;
    assert_eq!(
        under(&mut system, &a.id.to_string(), call).await,
        Err("42501".to_owned())
    );
}

/// The index is on every text's way in: nothing that a customer can write may be refused by it.
#[tokio::test]
async fn no_text_is_too_odd_for_the_index() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let every_letter: String = ('\u{1}'..='\u{ffff}').chain('\u{1f300}'..'\u{1fa00}').collect();
    let letters: Vec<char> = every_letter.chars().collect();
    let odd = [
        String::new(),
        "x".repeat(20_000),
        "\u{10ffff}".repeat(20_000),
        "é".repeat(3000) + " " + &"ß".repeat(2040),
        (0..3000).map(|n| format!("{n} ")).collect(),
        "' \\ :* & | ! ( ) <-> 'a':1A".to_owned(),
        "y".repeat(300),
    ];
    for body in letters
        .chunks(15_000)
        .map(|part| part.iter().collect())
        .chain(odd)
    {
        let mut text = incoming(tenant, 1);
        text.body = Body::new(body).unwrap();
        rig.db.batch().accept(&[text]).await.unwrap();
    }
    assert_eq!(found(&rig, tenant, &words(&[&"y".repeat(200)])).await.len(), 1);
}

/// 100,000 texts of a large tenant in one month, and 200 of a small one with the same words.
#[tokio::test]
async fn a_small_tenants_search_does_not_read_a_large_ones_texts() {
    let rig = Rig::new().await;
    let (large, small) = (rig.tenant(1).await, rig.tenant(2).await);
    for (tenant, count) in [(large, 100_000), (small, 200)] {
        let (conversation, _) = rig.text(tenant, 1).await;
        rig.run(&format!(
            "INSERT INTO message (id, tenant_id, conversation_id, seq, direction, origin, body, state, created_at, updated_at)
             SELECT overlay(uuid_v7_floor(now() - n * interval '1 ms')::text PLACING lpad(to_hex(n), 8, '0') FROM 29)::uuid,
                    '{}', '{conversation}', n + 1, 'mo', 'customer', 'zebra thanks word' || n % 5000, 'delivered', now(), now()
             FROM generate_series(1, {count}) n",
            tenant.id
        ))
        .await;
    }
    rig.run("ANALYZE message").await;
    for (tenant, word, count, most) in [
        (small, "zeb", 200, 250),
        (small, "word7", 11, 250),
        (large, "word4711", 20, 60),
    ] {
        // A session of its own: what it has read is counted from its beginning.
        let mut app = connect(rig.test.app_url()).await;
        let begin = format!("BEGIN; SET LOCAL app.tenant_ids = '{}'", tenant.id);
        app.execute(AssertSqlSafe(begin)).await.unwrap();
        let began = tokio::time::Instant::now();
        let ids = app
            .fetch_all(AssertSqlSafe(format!(
                "SELECT search_messages(ARRAY['{word}'], '{{}}', now() - interval '40 days', now() + interval '1 day',
                   'ffffffff-ffff-ffff-ffff-ffffffffffff', 1000)"
            )))
            .await
            .unwrap();
        let took = began.elapsed();
        assert_eq!(ids.len(), count, "{word}");
        let read = app
            .fetch_one(
                "SELECT sum(seq_tup_read)::bigint, sum(idx_tup_fetch)::bigint FROM pg_stat_xact_user_tables
                 WHERE relname LIKE 'message_2%'",
            )
            .await
            .unwrap();
        app.execute("ROLLBACK").await.unwrap();
        let (scanned, fetched): (i64, i64) = (read.get(0), read.get(1));
        println!("{word}: {count} found in {took:?}, {fetched} read");
        assert_eq!(scanned, 0, "{word}: no month is read as a whole");
        assert!(fetched <= most, "{word}: {fetched} texts were read for {count}");
    }
    // As the product does it, and the most common word of all.
    let began = tokio::time::Instant::now();
    let search = words(&["zebra", "thanks"]);
    match rig.db.tenant(large.id).search_messages(&search, part()).await {
        Ok(page) => assert_eq!(page.items.len(), 50),
        Err(error) => assert!(matches!(error, DbError::TooBroad), "{error}"),
    }
    println!("a word of all 100,000 texts: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_search_that_takes_too_long_is_ended_and_says_so() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    text(&rig, tenant, 1, "hello").await;
    // As if there were very many texts.
    rig.run(
        "CREATE OR REPLACE FUNCTION message_query(tenant uuid, beginnings text[], words text[]) RETURNS tsquery
         LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN ''::tsquery; END $$",
    )
    .await;
    let began = tokio::time::Instant::now();
    let refused = rig
        .db
        .tenant(tenant.id)
        .search_messages(&words(&["hello"]), part())
        .await;
    assert!(matches!(refused, Err(DbError::TooBroad)), "{refused:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(10));
    // The connection is as good as before.
    rig.db
        .tenant(tenant.id)
        .conversations(None, None, 5)
        .await
        .unwrap();
}
