//! Each page is looked at in light and dark, wide and narrow, with something in it.

use super::{CUSTOMER, LIMIT, Scene};
use anyhow::{Context, Result, ensure};
use ccm_carrier_sim::Kind;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_in_anybodys_way_on_any_page() -> Result<()> {
    let scene = Scene::start([Kind::Twilio]).await?;
    let played = scene.look_at_pages().await;
    scene.end(played).await
}

impl Scene {
    /// Signs in; a tenant that has had a text. Returns its page.
    pub(super) async fn at_work(&self) -> Result<String> {
        let tenant = self.world.tenants.first().context("no tenant")?;
        let sent = self
            .world
            .carrier
            .text(CUSTOMER, &tenant.number, "Still there?")?;
        self.world.carrier.wait_accepted(sent.seq, LIMIT).await?;
        self.open("/").await?;
        self.browser
            .enter("input[name=token]", self.world.admin.token())
            .await?;
        self.see("Tenants").await?;
        Ok(format!("/console/tenants/{}", tenant.made.id))
    }

    /// Where the first thing of a list leads to.
    pub(super) async fn first(&self, list: &str) -> Result<String> {
        self.open(list).await?;
        let first = self.browser.attribute("tbody a", "href").await;
        first?.with_context(|| format!("{list} is empty"))
    }

    /// Makes something of everything.
    async fn furnish(&self, tenant: &str) -> Result<()> {
        let admin = &self.world.admin;
        let api = tenant.replacen("/console", "", 1);
        let ours = &self.world.tenants.first().context("no tenant")?.number;
        let routing = json!({
            "calendars": {"office": {"time_zone": "Europe/Dublin", "weekly": {"monday": [{"from": "09:00", "to": "17:30"}]},
                "holidays": [{"name": "Christmas", "date": "12-25"}]}},
            "lists": {"vip": {"numbers": [CUSTOMER], "prefixes": ["+4930"]}},
            "rules": [
                {"name": "important", "priority": 10, "when": {"list": {"name": "vip"}, "time": {"calendar": "office", "is": "open"}},
                    "action": {"skillset": "WC_Default_Skillset"}},
                {"name": "ask", "enabled": false, "when": {"numbers": [ours]}, "action": {"webhook": {"url": "https://hooks.example.com/route"}}},
                {"name": "hours", "when": {"keyword": {"any_of": ["HOURS", "OPEN"]}},
                    "action": {"reply": {"words": {"de": "Neun bis fünf.", "en": "Nine to five."}, "then": "done"}}}],
            "after_hours": [{"calendar": "office", "reply": {"en": "We are closed until {opens_time}."}}],
        });
        admin.put(&format!("{api}/routing"), &routing).await?;
        for (path, body) in [
            (
                "webhooks",
                json!({"name": "CRM", "url": "https://hooks.example.com/ccm", "events": ["message.*", "link.*"]}),
            ),
            (
                "templates",
                json!({"name": "Delay", "text": "It takes two days more – sorry.", "scope": "tenant"}),
            ),
            (
                "api-keys",
                json!({"name": "reports", "role": "tenant-viewer", "scopes": ["read-settings"]}),
            ),
        ] {
            admin.post(&format!("{api}/{path}"), &body).await?;
        }
        let refused = json!({"our_address": ours, "customer_address": "+14697206299", "evidence": "asked on the phone"});
        admin.put(&format!("{api}/opt-outs"), &refused).await?;
        admin
            .put(&format!("{api}/caps"), &json!({"daily_mt_segments": 5000}))
            .await?;
        Ok(())
    }

    /// All of what has happened stands in the charts, sooner or later.
    async fn figures_are_drawn(&self, charts: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            self.open(charts).await?;
            let rows = "return Array.prototype.map.call(document.querySelectorAll('.rows dt'), function (name) { \
                return name.textContent + ': ' + parseInt(name.nextElementSibling.textContent, 10); })";
            let rows = self.browser.run(rows).await?;
            let drawn = self.browser.texts("figure svg title").await?.join("; ");
            let wanted = json!([
                "21614: 1",
                "30005: 1",
                "offered a chat: 3",
                "the offer was sent: 3",
                "it arrived: 3",
                "answered it: 2",
                "came to a chat: 2",
                "an agent wrote to them: 2"
            ]);
            if rows == wanted && drawn.contains("Time to an agent, at most") {
                return Ok(());
            }
            ensure!(began.elapsed() < LIMIT, "{rows}; {drawn}");
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn look_at_pages(&self) -> Result<()> {
        let tenant = &self.at_work().await?;
        // Before a calendar says that nobody is there.
        self.have_figures().await?;
        self.furnish(tenant).await?;
        let link = self.first(&format!("{tenant}/links")).await?;
        let mut all = vec![
            ("tenants".to_owned(), "/console/tenants".to_owned()),
            ("tenant".to_owned(), tenant.clone()),
            ("link".to_owned(), link.clone()),
            ("certificates".to_owned(), format!("{link}/certificates")),
            (
                "webhook".to_owned(),
                self.first(&format!("{tenant}/webhooks")).await?,
            ),
            (
                "conversation".to_owned(),
                self.first(&format!("{tenant}/conversations")).await?,
            ),
        ];
        self.open(&format!("{tenant}/statistics")).await?;
        let hour = self.browser.attribute("main p.buttons a", "href").await?;
        let hour = hour.context("no hour")?;
        self.figures_are_drawn(&hour).await?;
        all.push(("statistics-hour".to_owned(), hour));
        let of_tenant = [
            "setup",
            "statistics",
            "links",
            "numbers",
            "conversations",
            "dead-letters",
            "routing",
            "access",
            "audit?verify=1",
            "usage",
            "webhooks",
            "events",
            "search?q=there",
            "opt-outs",
            "persons",
            "settings",
            "settings/chat",
            "settings/retention",
            "templates",
            "state",
        ];
        for page in of_tenant {
            let name = page.split('?').next().unwrap_or_default().replace('/', "-");
            all.push((name, format!("{tenant}/{page}")));
        }
        for page in ["platform", "audit", "usage", "access", "deletions"] {
            all.push((format!("all-{page}"), format!("/console/{page}")));
        }
        for (name, path) in all {
            self.open(&path).await?;
            // What a shade or a width can change is looked at again in each.
            for (shade, width, height, shape, rules) in [
                ("light", 1280, 1300, "wide", None),
                ("dark", 1280, 1300, "wide", Some(&["color-contrast"][..])),
                (
                    "light",
                    500,
                    1600,
                    "narrow",
                    Some(&["target-size", "scrollable-region-focusable"][..]),
                ),
            ] {
                self.browser.prefer_dark(shade == "dark").await?;
                self.browser.size(width, height).await?;
                let what = format!("{name}-{shade}-{shape}");
                match rules {
                    None => self.sound(&what).await?,
                    rules => self.passes(&what, rules).await?,
                }
                let overflow =
                    "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
                let overflow = self.browser.run(overflow).await?;
                ensure!(
                    overflow.as_i64() <= Some(0),
                    "{what}: {overflow} pixels stand out"
                );
                self.browser.shot(&self.file(&what)).await?;
            }
        }
        Ok(())
    }
}
