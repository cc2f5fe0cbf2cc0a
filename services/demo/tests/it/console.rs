//! The console in a browser: from signing in to a working text with both simulators, a link that breaks, a dead letter that is mended.
//! On every page axe-core looks for what is in the way of a keyboard or a screen reader.

mod changes;
mod figures;
mod forms;
mod pages;

use anyhow::{Context, Result, ensure};
use ccm_aacc_sim::{self as aacc, Agent, Break, ChatState, NewConnections, Target};
use ccm_carrier_sim as carrier;
use ccm_demo::World;
use ccm_testkit::{browser::Browser, stack::Builder};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

const NUMBER: &str = "+19717122610";
const SECOND: &str = "+19717122611";
const CUSTOMER: &str = "+14697206211";
const SID: &str = "AC0123456789abcdef0123456789abcdef";
const SECRET: &str = "simulators-share-this-secret";
const LIMIT: Duration = Duration::from_secs(60);
const MAIN: &str = "#main";

struct Scene {
    world: World,
    aacc: aacc::Sim,
    browser: Browser,
    _profile: TempDir,
    base: String,
    pictures: PathBuf,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engineer_leads_a_tenant_from_nothing_to_a_text_and_mends_what_breaks() -> Result<()> {
    let scene = Scene::start([]).await?;
    let played = scene.play().await;
    scene.end(played).await
}

impl Scene {
    /// With a tenant for each kind of provider.
    async fn start(kinds: impl IntoIterator<Item = carrier::Kind>) -> Result<Self> {
        Self::with(kinds, |stack| stack).await
    }

    /// As [`Scene::start`], of a product that is started otherwise.
    async fn with(
        kinds: impl IntoIterator<Item = carrier::Kind>,
        stack: impl FnOnce(Builder) -> Builder + Send + 'static,
    ) -> Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let ccm = PathBuf::from(env!("CARGO_BIN_EXE_ccm-demo")).with_file_name("ccm");
        let profile = tempfile::tempdir()?;
        let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/screenshots");
        fs::create_dir_all(&pictures)?;
        let (world, browser) = tokio::join!(
            World::builder(&ccm).tenants(kinds).stack(stack).start(),
            Browser::start(profile.path())
        );
        let (world, browser) = (world?, browser?);
        let aacc = match world.tenants.first() {
            Some(tenant) => tenant.aacc.clone(),
            None => aacc::Sim::start(aacc::Config::default()).await?,
        };
        Ok(Self {
            base: world.admin.base().to_owned(),
            world,
            aacc,
            browser,
            _profile: profile,
            pictures,
        })
    }

    /// What went wrong is kept as a picture.
    async fn end(self, played: Result<()>) -> Result<()> {
        if played.is_err() {
            self.picture("failed", 1280, 1000).await?;
        }
        self.browser.end().await?;
        played
    }

    async fn play(&self) -> Result<()> {
        self.sign_in().await?;
        let tenant = self.set_up().await?;
        let conversation = self.a_text_and_its_answer(&tenant).await?;
        self.the_link_breaks(&tenant, &conversation).await?;
        self.a_dead_letter_is_mended(&tenant).await?;
        self.what_is_typed_outlives_its_session().await?;
        self.sign_out().await
    }

    async fn open(&self, path: &str) -> Result<()> {
        self.browser.open(&format!("{}{path}", self.base)).await
    }

    async fn see(&self, part: &str) -> Result<()> {
        self.browser.see(MAIN, part).await
    }

    async fn picture(&self, name: &str, width: u32, height: u32) -> Result<()> {
        self.browser.picture(width, height, &self.file(name)).await
    }

    fn file(&self, name: &str) -> PathBuf {
        self.pictures.join(format!("console-{name}.png"))
    }

    async fn sign_in(&self) -> Result<()> {
        self.open("/").await?;
        self.see("Token or API key").await?;
        self.sound("sign in").await?;
        self.picture("sign-in", 1280, 900).await?;
        self.browser.enter("input[name=token]", "ccm_nonsense").await?;
        self.see("ask for a new one").await?;
        ensure!(
            self.browser.value("input[name=token]").await?.is_empty(),
            "a secret comes back"
        );
        self.browser
            .enter("input[name=token]", self.world.admin.token())
            .await?;
        self.see("Tenants").await
    }

    /// The wizard; returns the tenant's page.
    async fn set_up(&self) -> Result<String> {
        let browser = &self.browser;
        browser.press("a[href='/console/tenants/new']").await?;
        browser
            .type_into("input[name=name]", "Acme <Insurance> & Sons")
            .await?;
        browser.type_into("input[name=slug]", "Acme Insurance").await?;
        browser.press("main button.main").await?;
        browser.see(".field.wrong", "Short name").await?;
        ensure!(
            browser.value("input[name=name]").await? == "Acme <Insurance> & Sons",
            "it must be typed again"
        );
        self.sound("a refused form").await?;
        self.picture("refused", 1280, 900).await?;
        browser.clear("input[name=slug]").await?;
        browser.enter("input[name=slug]", "acme-insurance").await?;
        self.see("0 of 6 steps are done").await?;
        let address = browser.address().await?;
        let path = address.strip_prefix(&self.base).context("not here")?;
        let tenant = path.split("/setup").next().unwrap_or_default().to_owned();
        self.picture("setup", 1280, 1000).await?;

        let ca = self.aacc.ca_pem().context("the simulated AACC has no TLS")?;
        browser
            .type_into("input[name=url]", &self.aacc.chat_url())
            .await?;
        browser.press("button[formaction]").await?;
        browser
            .see("#verdict", "This link does not work as it should")
            .await?;
        self.see("Do this").await?;
        self.sound("a doctor who has found something").await?;
        self.picture("doctor-failed", 1280, 1300).await?;
        browser.back().await?;
        browser.paste("textarea[name=ca_pem]", ca).await?;
        browser.press("details[open] button.main").await?;
        self.see("1 of 6 steps are done").await?;
        browser.press("details[open] button.main").await?;
        browser.see("#verdict", "This link works").await?;
        self.picture("doctor", 1280, 1500).await?;
        self.open(&format!("{tenant}/setup")).await?;
        self.see("2 of 6 steps are done").await?;
        browser.press("details[open] button.main").await?;
        self.see("3 of 6 steps are done").await?;
        browser
            .type_into("input[name='settings.account_sid']", SID)
            .await?;
        browser
            .type_into("input[name='secret.auth_token']", SECRET)
            .await?;
        browser.press("details[open] details summary").await?;
        browser
            .type_into("input[name='settings.api_base']", &self.world.carrier.api_base())
            .await?;
        browser.press("details[open] button.main").await?;
        self.see("4 of 6 steps are done").await?;
        browser.type_into("input[name=address]", NUMBER).await?;
        browser.press("details[open] button.main").await?;
        self.see("5 of 6 steps are done").await?;
        browser.see("#test ~ #live", "Nothing has arrived yet").await?;
        self.sound("set up").await?;

        let webhook = browser.texts("code.copy").await?;
        let carrier = &self.world.carrier;
        carrier.set_account(carrier::Account {
            kind: carrier::Kind::Twilio,
            name: SID.into(),
            secret: SECRET.into(),
            webhook_url: webhook.first().cloned(),
        })?;
        carrier.set_number(NUMBER, SID)?;
        Ok(tenant)
    }

    /// What is texted is seen without touching the page; returns the conversation's page.
    async fn a_text_and_its_answer(&self, tenant: &str) -> Result<String> {
        let (browser, carrier) = (&self.browser, &self.world.carrier);
        let sent = carrier.text(CUSTOMER, NUMBER, "Is 1 < 2? <b>now</b>")?;
        carrier.wait_accepted(sent.seq, LIMIT).await?;
        browser.see("#live", CUSTOMER).await?;
        self.picture("setup-test-text", 1280, 1000).await?;
        browser.press("#live a").await?;
        self.see("Is 1 < 2? <b>now</b>").await?;
        ensure!(
            browser.texts(".bubble p *").await?.is_empty(),
            "a text became markup"
        );
        let waiting = |chat: &aacc::ChatView| chat.customer == CUSTOMER && chat.state == ChatState::Waiting;
        let chat = self.aacc.wait_for_chat(waiting, LIMIT).await?;
        self.aacc.join(chat.guid, Agent::new("7000", "Russell"))?;
        self.aacc.say(chat.guid, "7000", "It is.")?;
        browser.see(".row.mt .bubble", "It is.").await?;
        browser.see(".row.mo .way", "delivered").await?;
        let address = browser.address().await?;
        ensure!(address.contains(tenant), "{address}");
        self.open(&format!("{tenant}/setup")).await?;
        self.see("6 of 6 steps are done").await?;
        Ok(address.strip_prefix(&self.base).context("not here")?.to_owned())
    }

    async fn the_link_breaks(&self, tenant: &str, conversation: &str) -> Result<()> {
        let (browser, carrier) = (&self.browser, &self.world.carrier);
        self.aacc
            .set_faults(|faults| faults.new_connections = NewConnections::Refuse);
        self.aacc.break_sockets(Target::All, Break::Reset);
        self.open(conversation).await?;
        let sent = carrier.text(CUSTOMER, NUMBER, "Still there?")?;
        carrier.wait_accepted(sent.seq, LIMIT).await?;
        browser.see(".row.mo", "Still there?").await?;
        browser.see("#live", "waits for link").await?;
        browser.see("#said", "The conversation waits for link.").await?;
        browser
            .see(".row.mo .bubble.not-seen", "not seen here yet")
            .await?;
        self.sound("a conversation while its link is down").await?;
        self.picture("inspector-link-down", 1280, 900).await?;
        self.open(&format!("{tenant}/links")).await?;
        browser.press("tbody a").await?;
        browser.see("#live .badge", "down").await?;
        self.sound("a link that is down").await?;
        self.picture("link-down", 1280, 1000).await?;
        // Whoever listens is told what has changed, and not each second for how long already.
        self.open(&browser.address().await?.replacen(&self.base, "", 1))
            .await?;
        let listen = "window.said = []; var drawn = window.drawn = { n: 0 };
            new MutationObserver(function () { said.push(document.getElementById('said').textContent); })
                .observe(document.getElementById('said'), { childList: true });
            new MutationObserver(function () { drawn.n += 1; }).observe(document.getElementById('live'), { childList: true });";
        browser.run(listen).await?;
        for _ in 0..600 {
            if browser.run("return drawn.n > 0").await? == true {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let said = browser.run("return said.length").await?;
        ensure!(
            said == 0,
            "only the time has passed, and {said} times somebody was told"
        );
        self.aacc
            .set_faults(|faults| faults.new_connections = NewConnections::Accept);
        browser.see("#live .badge", "up").await?;
        let said = browser.run("return said.join('; ')").await?;
        ensure!(
            said.as_str()
                .is_some_and(|said| said.ends_with("The link is up.")),
            "{said}"
        );
        self.open(conversation).await?;
        browser.see("#live .row:last-child .way", "delivered").await
    }

    async fn a_dead_letter_is_mended(&self, tenant: &str) -> Result<()> {
        let (browser, carrier) = (&self.browser, &self.world.carrier);
        carrier.set_number(SECOND, SID)?;
        let sent = carrier.text(CUSTOMER, SECOND, "Who is there?")?;
        carrier.wait_accepted(sent.seq, LIMIT).await?;
        for _ in 0..600 {
            self.open(&format!("{tenant}/dead-letters")).await?;
            if !browser.texts("tbody a").await?.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.sound("dead letters").await?;
        self.picture("dead-letters", 1280, 900).await?;
        browser.press("tbody a").await?;
        self.see("Who is there?").await?;
        let letter = browser.address().await?;
        // Nobody has the number yet: what is wrong is said where it is to be mended.
        browser.press("form.card button.main").await?;
        browser.see(".note.bad", "").await?;
        self.picture("dead-letter", 1280, 1000).await?;
        self.open(&format!("{tenant}/setup")).await?;
        browser.press("#number").await?;
        browser.type_into("input[name=address]", SECOND).await?;
        browser.press("details[open] button.main").await?;
        self.see(SECOND).await?;
        browser.open(&letter).await?;
        browser.press("form.card button.main").await?;
        self.see("It is on its way again").await?;
        browser.see(".head", "replayed").await?;
        let there = |chat: &aacc::ChatView| chat.state == ChatState::Waiting;
        self.aacc.wait_for_chat(there, LIMIT).await?;
        Ok(())
    }

    /// Nothing is in anybody's way, and nothing went wrong in the page.
    async fn sound(&self, what: &str) -> Result<()> {
        self.passes(what, None).await?;
        let wrongs = self
            .browser
            .run("return (window.wrongs || []).join('; ')")
            .await?;
        ensure!(wrongs == "", "{what}: {wrongs}");
        let chatter = "return document.querySelectorAll('[data-live][aria-live], [data-live] :is([aria-live], [role=status], [role=alert])').length";
        ensure!(
            self.browser.run(chatter).await? == 0,
            "{what}: a part that is read anew is told anew, with every second in it"
        );
        Ok(())
    }

    async fn passes(&self, what: &str, rules: Option<&[&str]>) -> Result<()> {
        let found = self.browser.barriers(rules).await?;
        ensure!(found.is_empty(), "{what}: {}", found.join("\n"));
        Ok(())
    }

    /// Signed out in another tab while a form is filled in.
    async fn what_is_typed_outlives_its_session(&self) -> Result<()> {
        let browser = &self.browser;
        self.open("/console/tenants/new").await?;
        browser.type_into("input[name=name]", "Bäcker & <Söhne>").await?;
        browser.type_into("input[name=slug]", "baecker").await?;
        let [form, _] = browser.new_tab().await?;
        self.open("/console/tenants").await?;
        browser.press(".who button").await?;
        self.see("Token or API key").await?;
        browser.switch_to(&form).await?;
        browser.press("main button.main").await?;
        self.see("Your session is over, so nothing was done.").await?;
        self.sound("a form that is kept").await?;
        self.picture("kept", 1280, 900).await?;
        browser
            .enter("input[name=token]", self.world.admin.token())
            .await?;
        self.see("Nothing was done yet").await?;
        ensure!(
            browser.value("input[name=name]").await? == "Bäcker & <Söhne>",
            "it must be typed again"
        );
        self.sound("a form that has come back").await?;
        browser.press("main button.main").await?;
        self.see("0 of 6 steps are done").await
    }

    async fn sign_out(&self) -> Result<()> {
        self.open("/console/tenants").await?;
        self.browser.press(".who button").await?;
        self.see("Token or API key").await?;
        self.open("/console/tenants").await?;
        self.see("Token or API key").await
    }
}
