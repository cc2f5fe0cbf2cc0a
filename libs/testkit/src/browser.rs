//! Debian's Chromium, driven over WebDriver.

use crate::ports::free_port;
use anyhow::{Context, Result, bail};
use fantoccini::{
    Client, ClientBuilder, Locator,
    wd::{Capabilities, TimeoutConfiguration, WebDriverCompatibleCommand, WindowHandle},
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

/// Each wait; the machine may be busy, and what is waited for goes through the whole product.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A command of the DevTools protocol, as chromedriver passes it on.
#[derive(Debug)]
struct DevTools(serde_json::Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/goog/cdp/execute",
            session.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.0.to_string()))
    }
}

/// Where tools for tests are, beside what is built.
fn tools() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => PathBuf::from(target).join("tools"),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools"),
    }
}

pub struct Browser {
    client: Client,
    driver: Child,
}

impl Browser {
    /// `profile` is a folder for the browser's own files.
    pub async fn start(profile: &Path) -> Result<Self> {
        Self::start_with(profile, true).await
    }

    /// One in which pages' own scripts do not run.
    pub async fn start_without_scripts(profile: &Path) -> Result<Self> {
        Self::start_with(profile, false).await
    }

    async fn start_with(profile: &Path, scripts: bool) -> Result<Self> {
        let port = free_port();
        let mut driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("starting chromedriver; deploy/dev/bootstrap --for test installs it")?;
        let flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--window-size=1440,1000",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let mut wanted = Capabilities::new();
        // 2: blocked.
        let scripts = if scripts { 1 } else { 2 };
        let preferences = json!({ "profile.managed_default_content_settings.javascript": scripts });
        let options = json!({ "args": flags, "prefs": preferences });
        wanted.insert("goog:chromeOptions".to_owned(), options);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(wanted);
        let began = Instant::now();
        let client = loop {
            match builder.connect(&format!("http://127.0.0.1:{port}")).await {
                Ok(client) => break client,
                Err(_) if began.elapsed() < LIMIT && driver.try_wait()?.is_none() => sleep(LOOK_AGAIN).await,
                Err(error) => return Err(error).context("starting Chromium through chromedriver"),
            }
        };
        let patient = TimeoutConfiguration::new(Some(LIMIT), Some(LIMIT), Some(Duration::ZERO));
        client.update_timeouts(patient).await?;
        Ok(Self { client, driver })
    }

    /// Ends the browser and its driver, whatever happened before.
    pub async fn end(mut self) -> Result<()> {
        let closed = self.client.close().await;
        self.driver.kill().await?;
        Ok(closed?)
    }

    /// Opens a page and from then on collects what goes wrong in it.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.client.goto(url).await?;
        let collect = "window.wrongs = [];
            var keep = function (e) { window.wrongs.push(String(e.message || e.reason || e.violatedDirective)); };
            addEventListener('error', keep);
            addEventListener('unhandledrejection', keep);
            document.addEventListener('securitypolicyviolation', keep);";
        self.client.execute(collect, Vec::new()).await?;
        Ok(())
    }

    /// Scripts' errors and what the page's policy has blocked.
    pub async fn wrongs(&self) -> Result<String> {
        let wrongs = self
            .client
            .execute("return window.wrongs.join('; ')", Vec::new())
            .await?;
        Ok(wrongs.as_str().context("the page was reloaded")?.to_owned())
    }

    /// Waits until a visible element that fits `css` has `part` in its text.
    pub async fn see(&self, css: &str, part: &str) -> Result<()> {
        let is_there = "var part = arguments[1], all = document.querySelectorAll(arguments[0]);
            return Array.prototype.some.call(all, function (e) {
                return e.getClientRects().length > 0 && e.textContent.indexOf(part) >= 0; })";
        let began = Instant::now();
        loop {
            let found = self
                .client
                .execute(is_there, vec![json!(css), json!(part)])
                .await?;
            if found.as_bool() == Some(true) {
                return Ok(());
            }
            if began.elapsed() > LIMIT {
                let now = self.texts(css).await?;
                let page = self.client.find(Locator::Css("body")).await?.text().await?;
                bail!("no visible {css:?} has {part:?} in it after {LIMIT:?}; there are {now:?}\n{page}");
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// The texts of all elements that fit.
    pub async fn texts(&self, css: &str) -> Result<Vec<String>> {
        let all = "return Array.prototype.map.call(document.querySelectorAll(arguments[0]), function (e) { return e.textContent; })";
        let texts = self.client.execute(all, vec![json!(css)]).await?;
        let texts = texts.as_array().context("no array")?.iter();
        Ok(texts.filter_map(|t| t.as_str().map(ToOwned::to_owned)).collect())
    }

    pub async fn attribute(&self, css: &str, name: &str) -> Result<Option<String>> {
        Ok(self.client.find(Locator::Css(css)).await?.attr(name).await?)
    }

    /// Chooses from a list.
    pub async fn choose(&self, css: &str, value: &str) -> Result<()> {
        let list = self.client.find(Locator::Css(css)).await?;
        list.select_by_value(value)
            .await
            .with_context(|| format!("choosing {value} in {css}"))
    }

    /// Waits until the button can be pressed, and presses it.
    pub async fn press(&self, css: &str) -> Result<()> {
        self.see(&format!("{css}:not(:disabled)"), "").await?;
        let button = self.client.find(Locator::Css(css)).await?;
        button.click().await.with_context(|| format!("pressing {css}"))
    }

    /// Types into a field, without Enter.
    pub async fn type_into(&self, css: &str, text: &str) -> Result<()> {
        self.see(&format!("{css}:not(:disabled)"), "").await?;
        let field = self.client.find(Locator::Css(css)).await?;
        field
            .send_keys(text)
            .await
            .with_context(|| format!("typing into {css}"))
    }

    /// Puts a text into a field as from a clipboard: a long one takes long to be typed.
    pub async fn paste(&self, css: &str, text: &str) -> Result<()> {
        self.see(&format!("{css}:not(:disabled)"), "").await?;
        let put = "var field = document.querySelector(arguments[0]); field.value = arguments[1];
            field.dispatchEvent(new Event('input', { bubbles: true }));";
        self.client.execute(put, vec![json!(css), json!(text)]).await?;
        Ok(())
    }

    /// Types into a field, and Enter.
    pub async fn enter(&self, css: &str, text: &str) -> Result<()> {
        self.type_into(css, &format!("{text}\u{e007}")).await
    }

    /// What is typed into a field, or chosen in a list.
    pub async fn value(&self, css: &str) -> Result<String> {
        let field = self.client.find(Locator::Css(css)).await?;
        Ok(field.prop("value").await?.unwrap_or_default())
    }

    /// Empties a field.
    pub async fn clear(&self, css: &str) -> Result<()> {
        Ok(self.client.find(Locator::Css(css)).await?.clear().await?)
    }

    /// Where the browser is.
    pub async fn address(&self) -> Result<String> {
        Ok(self.client.current_url().await?.to_string())
    }

    pub async fn reload(&self) -> Result<()> {
        Ok(self.client.refresh().await?)
    }

    pub async fn back(&self) -> Result<()> {
        Ok(self.client.back().await?)
    }

    /// Opens another tab with the same cookies and goes there; returns the names of the tab before and of the new one.
    pub async fn new_tab(&self) -> Result<[WindowHandle; 2]> {
        let before = self.client.window().await?;
        let new = self.client.new_window(true).await?.handle;
        self.client.switch_to_window(new.clone()).await?;
        Ok([before, new])
    }

    pub async fn switch_to(&self, tab: &WindowHandle) -> Result<()> {
        Ok(self.client.switch_to_window(tab.clone()).await?)
    }

    /// Looks into a frame until [`Self::leave_frame`].
    pub async fn enter_frame(&self, css: &str) -> Result<()> {
        let frame = self.client.find(Locator::Css(css)).await?;
        frame.enter_frame().await?;
        Ok(())
    }

    pub async fn leave_frame(&self) -> Result<()> {
        self.client.enter_parent_frame().await?;
        Ok(())
    }

    /// What a script of the test's own returns.
    pub async fn run(&self, script: &str) -> Result<serde_json::Value> {
        Ok(self.client.execute(script, Vec::new()).await?)
    }

    /// What axe-core (`deploy/dev/axe-core` fetches it) finds in the page that is serious or critical: rule, how many, and where first.
    /// With `rules`, only these are looked at.
    pub async fn barriers(&self, rules: Option<&[&str]>) -> Result<Vec<String>> {
        let file = tools().join("axe-core/axe.min.js");
        let axe = fs::read_to_string(&file)
            .with_context(|| format!("reading {}; deploy/dev/axe-core fetches it", file.display()))?;
        let run = "var done = arguments[arguments.length - 1];
            var options = { resultTypes: ['violations'], preload: false, iframes: false };
            if (arguments[0]) { options.runOnly = arguments[0]; }
            axe.run(document, options).then(function (found) {
                done(found.violations.filter(function (one) { return one.impact === 'serious' || one.impact === 'critical'; })
                    .map(function (one) {
                        var first = one.nodes[0];
                        return one.id + ' (' + one.impact + ', ' + one.nodes.length + '): ' + one.help + ': ' + first.html + ' ' + first.failureSummary; }));
            }, function (error) { done(['axe failed: ' + error]); });";
        let there = self
            .client
            .execute("return typeof axe !== 'undefined'", Vec::new())
            .await?;
        if there != true {
            self.client.execute(&axe, Vec::new()).await?;
        }
        let found = self.client.execute_async(run, vec![json!(rules)]).await?;
        let found = found.as_array().context("no list")?;
        Ok(found
            .iter()
            .map(|one| one.as_str().unwrap_or_default().to_owned())
            .collect())
    }

    /// Has pages drawn as for somebody who prefers a dark screen, or a light one.
    pub async fn prefer_dark(&self, dark: bool) -> Result<()> {
        let value = if dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        let wanted = DevTools(json!({ "cmd": "Emulation.setEmulatedMedia", "params": features }));
        self.client.issue_cmd(wanted).await?;
        Ok(())
    }

    /// Makes the window so wide and high.
    pub async fn size(&self, width: u32, height: u32) -> Result<()> {
        Ok(self.client.set_window_size(width, height).await?)
    }

    /// Makes the window so wide and high, and takes a picture.
    pub async fn picture(&self, width: u32, height: u32, file: &Path) -> Result<()> {
        self.size(width, height).await?;
        // Drawn, and drawn again with what a script has made of the new size; pages without scripts cannot say when.
        sleep(Duration::from_millis(200)).await;
        self.shot(file).await
    }

    /// Takes a picture of the window as it is and was for a while.
    pub async fn shot(&self, file: &Path) -> Result<()> {
        fs::write(file, self.client.screenshot().await?)
            .with_context(|| format!("writing {}", file.display()))
    }
}
