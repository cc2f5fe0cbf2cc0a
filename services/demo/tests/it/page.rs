use crate::program::{Demo, alive};
use anyhow::{Context, Result, ensure};
use ccm_testkit::browser::Browser;
use std::path::{Path, PathBuf};

const PHONE: &str = "#bubbles .bubble";
const DESK: &str = "#lines li";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_plays_both_sides_in_a_browser() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut demo = Demo::start(&dir.path().join("demo"), &[])?;
    let line = demo.line_with("http://127.0.0.1:").await?;
    let url = line.split_whitespace().last().context("no address")?.to_owned();
    demo.line_with("Ctrl-C").await?;
    let started = demo.descendants();

    let browser = Browser::start(&dir.path().join("chromium")).await?;
    let played = play(&browser, &url).await;
    let pictures = pictures()?;
    let pictured = match &played {
        Ok(()) => Ok(()),
        Err(_) => {
            browser
                .picture(1440, 1000, &pictures.join("demo-failed.png"))
                .await
        }
    };
    browser.end().await?;
    played?;
    pictured?;

    demo.signal("INT").await?;
    let status = demo.end().await?;
    assert!(status.success(), "{status}\n{}", demo.printed);
    assert_eq!(alive(&started), []);
    Ok(())
}

async fn play(browser: &Browser, url: &str) -> Result<()> {
    browser.open(url).await?;
    browser.see("#live", "live").await?;
    browser.see("#happened", "ready").await?;
    a_voice_agent_has_a_page(browser, url).await?;
    a_text_waits_and_is_answered(browser).await?;
    the_link_breaks(browser).await?;
    another_phone(browser).await?;
    let pictures = pictures()?;
    browser.picture(1440, 1000, &pictures.join("demo.png")).await?;
    browser
        .picture(500, 2150, &pictures.join("demo-narrow.png"))
        .await?;
    browser.picture(1440, 1000, &pictures.join("demo.png")).await?;
    transferred_and_ended(browser).await?;
    the_session_expires(browser).await?;
    assert_eq!(browser.wrongs().await?, "");
    assert!(browser.attribute("#problem", "hidden").await?.is_some());
    Ok(())
}

/// The page that a voice call opens is the product's own.
async fn a_voice_agent_has_a_page(browser: &Browser, url: &str) -> Result<()> {
    browser.see("a.voice", "text the caller").await?;
    browser.open(&format!("{url}demo/screenpop")).await?;
    browser.see("h1", "Sending SMS to:").await?;
    ensure!(
        browser.address().await?.contains("/pop/"),
        "the key is in the address"
    );
    browser.open(url).await?;
    browser.see("#live", "live").await
}

async fn a_text_waits_and_is_answered(browser: &Browser) -> Result<()> {
    browser.enter("#phone-text", "Is a < b? <b>now</b>").await?;
    browser.see(PHONE, "Is a < b? <b>now</b>").await?;
    assert!(
        browser.texts("#bubbles p *").await?.is_empty(),
        "a text became markup"
    );
    browser.see("#chats .waiting", "+14697206211").await?;
    browser.see("#queue", "1 waiting").await?;
    browser
        .see("#journey-mo .now", "held until an agent is in")
        .await?;
    browser
        .see(".tick[aria-label='accepted: stored by CCM']", "✓")
        .await?;

    browser.press("#accept").await?;
    browser.see("#chats .live", "Russell").await?;
    browser
        .see(DESK, "[Agent]Welcome to the Avaya Contact Center.")
        .await?;
    browser.see(PHONE, "Welcome to the Avaya Contact Center.").await?;
    browser.see(DESK, "[Customer]Is a ‹ b? ‹b›now‹/b›").await?;
    browser.see(".tick[aria-label='the agent has it']", "✓✓").await?;
    browser.see("#journey-mo .done", "acknowledged after").await?;

    browser.type_into("#desk-text", "Yes, R&D").await?;
    browser
        .see("#desk-typing.on", "Russell Greaney is typing")
        .await?;
    browser.see("#phone-typing", "the agent is typing").await?;
    browser.enter("#desk-text", " says so").await?;
    browser.see(DESK, "[Agent]Yes, R&D says so").await?;
    browser.see(PHONE, "Yes, R&D says so").await?;
    browser.see("#journey-mt .done", "on the phone").await?;
    browser
        .see("#desk-typing:not(.on)", "")
        .await
        .context("the typing does not end")?;

    browser.press("#quick-answers .chip:nth-child(2)").await?;
    browser.see(DESK, "[Agent]1 &lt; 2 &amp; 3").await?;
    browser.see(PHONE, "1 < 2 & 3").await?;

    browser.type_into("#desk-text", "a < b").await?;
    browser.press("#swap").await?;
    browser.enter("#desk-text", " c").await?;
    browser.see(DESK, "[Agent]a ‹ b c").await?;
    browser.see(PHONE, "a < b c").await
}

async fn the_link_breaks(browser: &Browser) -> Result<()> {
    for (n, how) in ["close", "reset"].into_iter().enumerate() {
        browser.press(&format!("[data-break={how}]")).await?;
        browser
            .enter("#phone-text", &format!("still there, {how}?"))
            .await?;
        browser.enter("#desk-text", &format!("still here, {how}")).await?;
        browser.see("#chat-facts", &format!("resumed {}×", n + 1)).await?;
        browser.see("#chat-link.open", "link up").await?;
        browser.see(DESK, &format!("still there, {how}?")).await?;
        browser.see(PHONE, &format!("still here, {how}")).await?;
    }
    browser.see("#happened .good", "healed after").await
}

async fn another_phone(browser: &Browser) -> Result<()> {
    browser.press(".number.add").await?;
    browser.enter("#new-number", "").await?;
    browser.see("#phones [aria-pressed=true]", "+14697206212").await?;
    assert!(
        browser.texts(PHONE).await?.is_empty(),
        "the new phone shows the other one's texts"
    );
    browser.press("#quick-texts .chip:nth-child(2)").await?;
    browser.see(PHONE, "Is a < b, and b > c?").await?;
    browser.see("#chats .waiting", "+14697206212").await?;
    // The chat that the agent is in stays chosen; an answer there counts on the first phone.
    browser.see("#chat-customer", "+14697206211").await?;
    browser.enter("#desk-text", "for the first phone").await?;
    browser
        .see("#phones [aria-label='Phone +14697206211, 1 new']", "1")
        .await?;
    browser.press("#phones .number:first-child").await?;
    browser.see(PHONE, "for the first phone").await
}

async fn transferred_and_ended(browser: &Browser) -> Result<()> {
    browser.press("#transfer").await?;
    browser.see("#chats .live", "with Paul").await?;
    browser.see("#accept:not(:disabled)", "Join").await?;
    browser.see("#me", "Paul").await?;
    browser.choose("#me", "7001").await?;
    browser.enter("#desk-text", "Paul here").await?;
    browser.see(PHONE, "Paul here").await?;
    browser.press("#leave").await?;
    browser.enter("#phone-text", "One more thing").await?;
    browser.see("#chats .ended", "ended by the agent").await?;
    browser.see("#queue", "2 waiting").await?;
    browser.press("#chats .waiting:nth-child(2) .item").await?;
    browser.see("#chat-customer", "+14697206211").await?;
    browser.press("#accept").await?;
    browser.see(DESK, "[Customer]One more thing").await
}

async fn the_session_expires(browser: &Browser) -> Result<()> {
    browser.press("[data-break=expire]").await?;
    browser.enter("#phone-text", "after the end").await?;
    browser.see("#chats .ended", "session expired").await?;
    browser.see("#queue", "2 waiting").await?;
    browser.press("#chats .waiting:nth-child(2) .item").await?;
    browser.press("#accept").await?;
    browser.see(DESK, "[Customer]after the end").await
}

/// Beside this test's program, where cargo builds to.
fn pictures() -> Result<PathBuf> {
    let debug = Path::new(env!("CARGO_BIN_EXE_ccm-demo"))
        .parent()
        .context("no folder")?;
    Ok(debug.to_owned())
}
