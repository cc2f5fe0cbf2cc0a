//! The page in Debian's Chromium, with and without scripts. Pictures stand in `target/screenshots`.

use crate::{
    pop_open::settings,
    rig::{MOBILE, Rig, Tenant, ours},
};
use anyhow::{Context, Result, ensure};
use ccm_db::{HistoryRow, Template, TemplateScope};
use ccm_model::ProviderKind;
use ccm_runtime::{Health, Lifecycle, config::ShutdownConfig};
use ccm_testkit::browser::Browser;
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::net::TcpListener;

const OTHER: &str = "+353867654321";

struct Stage {
    rig: Rig,
    tenant: Tenant,
    url: String,
    browser: Browser,
    _profile: tempfile::TempDir,
    life: Lifecycle,
}

impl Stage {
    async fn set(scripts: bool) -> Result<Self> {
        let rig = Rig::new().await;
        let tenant = rig.tenant(1, ProviderKind::Twilio).await;
        let account = rig.add_account(&tenant, "second", ProviderKind::Http).await;
        rig.add_number(&tenant, 2, account).await;
        for (name, body) in [
            (
                "Reference number",
                "Your reference number is {order}. Regards, {agent}",
            ),
            ("Call me back", "We could not reach you. Please call us back."),
        ] {
            let template = Template {
                name: name.to_owned(),
                body: body.to_owned(),
                scope: TemplateScope::Tenant,
                language: None,
            };
            let db = rig.deps.db.tenant(tenant.id);
            db.create_template(rig.deps.ids.next(), &template).await?;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let config = ShutdownConfig {
            notice: Duration::ZERO,
            grace: Duration::from_secs(20),
        };
        let life = Lifecycle::new(config, Health::new("screenpop"));
        tokio::spawn(ccm_screenpop::run(listener, rig.deps.clone(), life.clone()));
        let profile = tempfile::tempdir()?;
        let browser = match scripts {
            true => Browser::start(profile.path()).await?,
            false => Browser::start_without_scripts(profile.path()).await?,
        };
        Ok(Self {
            rig,
            tenant,
            url,
            browser,
            _profile: profile,
            life,
        })
    }

    fn address(&self, query: &str) -> String {
        format!("{}/?auth={}&{query}", self.url, self.tenant.key)
    }

    async fn history(&self, number: &str) -> Result<Vec<HistoryRow>> {
        let db = self.rig.deps.db.tenant(self.tenant.id);
        Ok(db.history(&number.parse()?, 50).await?)
    }

    async fn picture(&self, name: &str) -> Result<()> {
        let folder = pictures()?;
        self.browser
            .picture(900, 760, &folder.join(format!("{name}.png")))
            .await
    }

    /// Ends the browser whatever happened, and takes a picture of what did.
    async fn end(self, name: &str, played: Result<()>) -> Result<()> {
        if played.is_err() {
            let failed = self.picture(&format!("{name}-failed")).await;
            drop(failed);
        }
        self.browser.end().await?;
        self.life.drain();
        played
    }
}

fn pictures() -> Result<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .context("no folder")?;
    let folder = target.join("screenshots");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A call like any other, from the first look to the text's failure.
async fn a_call(stage: &Stage, pictured: &str, scripts: bool) -> Result<()> {
    let browser = &stage.browser;
    let query = format!("dialed={}&dest=353861234567&agent=Mary", &ours(1)[1..]);
    browser.open(&stage.address(&query)).await?;
    browser.see("h1", "Sending SMS to:").await?;
    let address = browser.address().await?;
    ensure!(
        address.contains("/pop/") && !address.contains("auth"),
        "{address}"
    );
    ensure!(browser.value("#number").await? == MOBILE);
    browser.see("#verdict", "SMS AVAILABLE").await?;
    browser.press("#check").await?;
    browser.see("#verdict", "SMS AVAILABLE").await?;
    stage.picture(&format!("{pictured}-opened")).await?;

    browser
        .type_into("#body", "Łukasz, your reference number is 1234")
        .await?;
    browser.type_into("#order", "1234").await?;
    if scripts {
        browser.see("#meter", "33 characters left in SMS 1").await?;
        browser.see("#meter", "leaves 70 characters").await?;
        stage.picture(&format!("{pictured}-meter")).await?;
        browser.press("#meter button").await?;
        browser.see("#told", "changed to fit").await?;
        ensure!(browser.value("#body").await? == "Lukasz, your reference number is 1234");
        browser.type_into("#body", "!").await?;
        browser.see("#meter", "122 characters left").await?;
        // What is half written is there after a reload.
        browser.reload().await?;
        let kept = browser.value("#body").await?;
        ensure!(kept == "Lukasz, your reference number is 1234!", "{kept:?}");
        browser.clear("#body").await?;
    }
    let reference = browser.texts("#template option").await?;
    ensure!(
        reference == ["Choose a template", "Call me back", "Reference number"],
        "{reference:?}"
    );
    browser
        .run("var s = document.getElementById('template'); s.selectedIndex = 2;")
        .await?;
    browser.press("#template + button").await?;
    browser.see("#told", "has been put in").await?;
    ensure!(browser.value("#body").await? == "Your reference number is 1234. Regards, Mary");
    browser.press("#send").await?;
    browser.see("#told", "is on its way").await?;
    ensure!(browser.value("#body").await?.is_empty());
    ensure!(stage.history(MOBILE).await?.len() == 1);
    // A reload and the way back send nothing.
    browser.reload().await?;
    browser.back().await?;
    browser.see("h1", "Sending SMS to:").await?;
    ensure!(stage.history(MOBILE).await?.len() == 1);
    browser.open(&address).await?;

    stage
        .rig
        .sql("UPDATE message SET state = 'failed', error_code = '30003'");
    browser.type_into("#body", "half a te").await?;
    if scripts {
        browser.see("#history .state", "not delivered").await?;
        browser.see("#failed", "was not delivered").await?;
        stage.picture(&format!("{pictured}-failed-text")).await?;
        let wrongs = browser.wrongs().await?;
        ensure!(wrongs.is_empty(), "{wrongs}");
        browser.press("#history .state button").await?;
        browser.see("#told", "is on its way").await?;
        let kept = browser.value("#body").await?;
        ensure!(kept == "half a te", "what is being written stays: {kept:?}");
    } else {
        // The frame loads itself anew.
        browser.enter_frame("iframe.history").await?;
        browser.see("#history .state", "not delivered").await?;
        browser.press("#history .state button").await?;
        browser.see("#told", "is on its way").await?;
        browser.see("#history", "sent again").await?;
        browser.leave_frame().await?;
        let kept = browser.value("#body").await?;
        ensure!(kept == "half a te", "what is being written stays: {kept:?}");
    }
    // The page before said so too: what is stored tells.
    for _ in 0..100 {
        if stage.history(MOBILE).await?.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(stage.history(MOBILE).await?.len() == 2);
    stage.picture(&format!("{pictured}-history")).await?;
    Ok(())
}

/// Two calls at once in one browser: each page texts its own caller.
async fn two_calls(stage: &Stage) -> Result<()> {
    let browser = &stage.browser;
    browser
        .open(&stage.address(&format!("dest={}", &MOBILE[1..])))
        .await?;
    browser.type_into("#body", "for the first caller").await?;
    let [first, second] = browser.new_tab().await?;
    browser
        .open(&stage.address(&format!("dest={}", &OTHER[1..])))
        .await?;
    browser.type_into("#body", "for the second caller").await?;
    browser.switch_to(&first).await?;
    ensure!(browser.value("#number").await? == MOBILE);
    browser.press("#send").await?;
    browser.see("#told", MOBILE).await?;
    browser.switch_to(&second).await?;
    ensure!(browser.value("#number").await? == OTHER);
    ensure!(browser.value("#body").await? == "for the second caller");
    browser.press("#send").await?;
    browser.see("#told", OTHER).await?;
    for (number, text) in [(MOBILE, "for the first caller"), (OTHER, "for the second caller")] {
        let texts = stage.history(number).await?;
        let theirs = |text: &str| text.starts_with("for the ");
        let got: Vec<&str> = texts
            .iter()
            .map(|t| t.body.as_str())
            .filter(|t| theirs(t))
            .collect();
        ensure!(got == [text], "{number} got {got:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_with_scripts() -> Result<()> {
    let stage = Stage::set(true).await?;
    let played = async {
        a_call(&stage, "pop", true).await?;
        two_calls(&stage).await
    };
    let played = played.await;
    stage.end("pop", played).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_scripts() -> Result<()> {
    let stage = Stage::set(false).await?;
    let played = async {
        a_call(&stage, "plain", false).await?;
        two_calls(&stage).await
    };
    let played = played.await;
    stage.end("plain", played).await
}

/// Opted out, in German, narrow; an error. To be looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_else_there_is_to_see() -> Result<()> {
    let stage = Stage::set(true).await?;
    let played = async {
        let browser = &stage.browser;
        let opted_out = format!(
            "INSERT INTO opt_out (tenant_id, our_address, customer_address, source, since)
             VALUES ('{}', '{}', '{MOBILE}', 'keyword', '2026-11-20T10:00:00Z')",
            stage.tenant.id,
            ours(1)
        );
        stage.rig.sql(&opted_out);
        settings(&stage.rig, &stage.tenant, json!({"language": "de"})).await;
        browser.open(&stage.address("dest=353861234567")).await?;
        browser.see("#verdict", "ABGEMELDET").await?;
        stage.picture("pop-opted-out-german").await?;
        browser.open(&stage.address("dest=[0]")).await?;
        browser.see(".hint", "nicht in die Adresse gesetzt").await?;
        let folder = pictures()?;
        browser.picture(360, 700, &folder.join("pop-narrow.png")).await?;
        browser.open(&format!("{}/?auth=wrong", stage.url)).await?;
        browser.see(".told", "key in the address").await?;
        stage.picture("pop-error").await
    };
    let played = played.await;
    stage.end("seen", played).await
}

/// Everything can be reached and told apart without seeing it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keyboard_and_screen_reader() -> Result<()> {
    let stage = Stage::set(true).await?;
    let played = async {
        let browser = &stage.browser;
        browser.open(&stage.address("dest=353861234567")).await?;
        let unlabelled = browser
            .run(
                "var bad = [], all = document.querySelectorAll('input:not([type=hidden]), select, textarea');
                 Array.prototype.forEach.call(all, function (f) {
                   if (!document.querySelector('label[for=' + f.id + ']')) { bad.push(f.id); } });
                 return bad.join(' ');",
            )
            .await?;
        ensure!(unlabelled == json!(""), "{unlabelled}");
        let order = browser
            .run(
                "var all = document.querySelectorAll('input:not([type=hidden]), select, textarea, button');
                 return Array.prototype.map.call(all, function (f) { return f.id || f.value; }).join(' ');",
            )
            .await?;
        ensure!(
            order == json!("number check sender body template template order send"),
            "{order}"
        );
        let focused = browser.run("return document.activeElement.id").await?;
        ensure!(
            focused == json!("body"),
            "the number is known: the message is next; {focused}"
        );
        let live = browser
            .run("return document.querySelectorAll('#meter[aria-live], #verdict[aria-live]').length")
            .await?;
        ensure!(live == json!(2));
        let headings = browser
            .run("return document.querySelectorAll('th[scope=col]').length + document.documentElement.lang")
            .await?;
        ensure!(headings == json!("0en"), "{headings}");
        // Colours of text and what is behind it, as WCAG AA wants them.
        let faint = browser.run(CONTRAST).await?;
        ensure!(faint == json!(""), "{faint}");
        Ok(())
    };
    let played = played.await;
    stage.end("keyboard", played).await
}

/// Which visible texts have less than 4.5 to 1.
const CONTRAST: &str = "
  function lum(c) { var p = c.match(/[\\d.]+/g).slice(0, 3).map(function (v) { v = v / 255;
    return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); });
    return 0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2]; }
  function behind(e) { while (e) { var b = getComputedStyle(e).backgroundColor;
    if (b !== 'rgba(0, 0, 0, 0)' && b !== 'transparent') { return b; } e = e.parentElement; } return 'rgb(255,255,255)'; }
  var bad = [];
  Array.prototype.forEach.call(document.body.querySelectorAll('*'), function (e) {
    if (!e.getClientRects().length || !e.textContent.trim() || e.children.length || e.disabled) { return; }
    var a = lum(getComputedStyle(e).color), b = lum(behind(e));
    var ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) { bad.push(e.tagName + ' ' + ratio.toFixed(1) + ' ' + e.textContent.slice(0, 20)); } });
  return bad.join('; ');";
