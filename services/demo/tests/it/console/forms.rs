//! The pages beside the way of a text: the important form of each is filled in once.

use super::{CUSTOMER, LIMIT, Scene};
use anyhow::{Context, Result, bail, ensure};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use ccm_carrier_sim::Kind;
use ccm_testkit::{certs::Ca, ports};
use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;

/// A rule that answers, so that nobody has to be there for it.
const RULES: &str = r#"{"rules": [{"name": "opening hours", "when": {"keyword": {"any_of": ["HOURS"]}},
    "action": {"reply": {"words": {"en": "Nine to five."}, "then": "done"}}}]}"#;

const ISSUER: &str = "https://login.example.com/realms/ccm";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_needs_beside_is_done_in_the_console() -> Result<()> {
    let scene = Scene::with([Kind::Twilio], |stack| {
        // People need an issuer that is named; nobody signs in there.
        stack
            .env("CCM__OIDC__ISSUERS", ISSUER)
            .env("CCM__OIDC__AUDIENCE", "ccm")
    })
    .await?;
    let played = scene.fill_in_what_there_is().await;
    scene.end(played).await
}

/// Waits until the receiver was called so often.
async fn called(calls: &AtomicUsize, wanted: usize) -> Result<()> {
    let looks = LIMIT.as_millis() / 100;
    for _ in 0..looks {
        if calls.load(Ordering::SeqCst) >= wanted {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("it was called {} times", calls.load(Ordering::SeqCst))
}

impl Scene {
    async fn fill_in_what_there_is(&self) -> Result<()> {
        let tenant = self.at_work().await?;
        self.rules_and_their_dry_run(&tenant).await?;
        self.certificates_and_maintenance(&tenant).await?;
        self.keys_are_shown_once(&tenant).await?;
        self.people_come_and_go(&tenant).await?;
        self.what_there_is_is_changed(&tenant).await?;
        self.a_person_is_held_and_forgotten(&tenant).await?;
        self.a_webhook_is_tried(&tenant).await?;
        self.texts_are_found(&tenant).await?;
        self.settings_and_templates(&tenant).await?;
        self.what_was_done_stands_in_the_audit(&tenant).await?;
        self.a_tenant_rests_and_goes_on(&tenant).await?;
        self.how_all_does_is_seen(&tenant).await
    }

    /// Fills in a form by its fields' names, and sends it.
    pub(super) async fn fill(&self, form: &str, fields: &[(&str, &str)]) -> Result<()> {
        for (name, value) in fields {
            let field = format!("{form} [name='{name}']");
            self.browser.paste(&field, value).await?;
        }
        self.browser.press(&format!("{form} p:last-of-type button")).await
    }

    async fn rules_and_their_dry_run(&self, tenant: &str) -> Result<()> {
        let try_it = "form:has([name='_form'][value=try])";
        let change = "form:has([name='_form'][value=change])";
        self.open(&format!("{tenant}/routing")).await?;
        self.see("None: each number's own skillset answers.").await?;
        let text = [("from", CUSTOMER), ("text", "Hours?")];
        self.fill(try_it, &text).await?;
        self.browser.see("#decision", "WC_Default_Skillset").await?;
        ensure!(
            self.browser.value(&format!("{try_it} [name=text]")).await? == "Hours?",
            "what was tried must be typed again"
        );
        self.fill(change, &[(":json", "{\"rules\": [")]).await?;
        self.browser.see(".field.wrong", "is not JSON").await?;
        self.fill(
            change,
            &[(
                ":json",
                &RULES
                    .replace("HOURS", "STOP")
                    .replace("any_of", "match\": \"whole\", \"any_of"),
            )],
        )
        .await?;
        self.browser.see(".field.wrong", "rules[0]").await?;
        self.fill(change, &[(":json", RULES)]).await?;
        self.see("Saved.").await?;
        self.browser.see("tbody", "the text begins with HOURS").await?;
        self.fill(try_it, &text).await?;
        self.browser.see("#decision", "Nine to five.").await?;
        self.browser.see("tbody", "decides").await?;
        self.sound("a decision of routing").await?;
        self.picture("routing-tried", 1280, 1500).await
    }

    async fn certificates_and_maintenance(&self, tenant: &str) -> Result<()> {
        let browser = &self.browser;
        let link = self.first(&format!("{tenant}/links")).await?;
        self.open(&format!("{link}/certificates")).await?;
        self.see("Ends in").await?;
        let ca = self.aacc.ca_pem().context("the simulated AACC has no TLS")?;
        self.fill("form:has([name='_form'][value=ca])", &[("ca_pem", ca)])
            .await?;
        browser
            .see("#problem", "the link trusts all of these already")
            .await?;
        self.fill(
            "form:has([name='_form'][value=key])",
            &[("common_name", "ccm.example.com")],
        )
        .await?;
        browser
            .see("code.copy", "-----BEGIN CERTIFICATE REQUEST-----")
            .await?;
        let request = browser.texts("pre code.copy").await?.concat();
        let certificate = "form:has([name='_form'][value=certificate])";
        self.fill(certificate, &[("client_certificate_pem", &request)])
            .await?;
        browser.see(".field.wrong", "Certificate").await?;
        ensure!(
            browser
                .value(&format!("{certificate} textarea"))
                .await?
                .contains("REQUEST"),
            "it must be typed again"
        );
        let signed = Ca::new("Customer CA")?.sign_request(&request, &["ccm.example.com"])?;
        self.fill(certificate, &[("client_certificate_pem", &signed)])
            .await?;
        self.see("Issued by CN=Customer CA").await?;
        self.sound("a link with a certificate of its own").await?;
        self.picture("certificate-of-ones-own", 1280, 1600).await?;
        browser
            .press("details.menu:has([value*='client-certificate']) summary")
            .await?;
        browser
            .press("details.menu:has([value*='client-certificate']) button")
            .await?;
        self.see("Removed.").await?;
        self.open(&link).await?;
        browser
            .press("details:has([name='_form'][value=window]) summary")
            .await?;
        for (field, at) in [("begins_at", "2999-01-01T22:00"), ("ends_at", "2999-01-02T02:00")] {
            // How a moment is typed depends on the browser's language.
            browser
                .run(&format!(
                    "document.querySelector(\"[name='{field}:utc']\").value = '{at}'"
                ))
                .await?;
        }
        browser
            .type_into(
                "form:has([name='_form'][value=window]) [name=reason]",
                "AACC patch",
            )
            .await?;
        browser
            .press("form:has([name='_form'][value=window]) button")
            .await?;
        self.see("Planned.").await?;
        self.see("2999-01-01 22:00:00 UTC to 2999-01-02 02:00:00 UTC: AACC patch")
            .await?;
        browser.press("main li details summary").await?;
        browser.press("main li button.danger").await?;
        self.see("None is planned.").await
    }

    async fn keys_are_shown_once(&self, tenant: &str) -> Result<()> {
        let browser = &self.browser;
        let access = format!("{tenant}/access");
        for (form, name, begins) in [("api", "reports", "ccm_"), ("auth", "agents Dublin", "")] {
            self.open(&access).await?;
            browser
                .press(&format!("details:has([name='_form'][value={form}]) summary"))
                .await?;
            self.fill(
                &format!("form:has([name='_form'][value={form}])"),
                &[("name", name)],
            )
            .await?;
            browser.see("code.copy", begins).await?;
            self.sound("a key that is shown once").await?;
            let key = browser.texts(".note code.copy").await?.concat();
            ensure!(
                key.len() >= 16 && key.starts_with(begins),
                "that is no key: {} characters",
                key.len()
            );
            self.open(&access).await?;
            browser.see("tbody", name).await?;
            let page = browser.run("return document.documentElement.innerHTML").await?;
            ensure!(
                !page.as_str().unwrap_or_default().contains(&key),
                "the key of {name} is shown again"
            );
        }
        self.picture("access", 1280, 1200).await?;
        // What is being replaced says until when it is good; its successor is shown once.
        for keys in ["api-keys", "auth-keys"] {
            let row = format!("tr:has([value*='/{keys}/'])");
            browser.press(&format!("{row} summary")).await?;
            browser
                .press(&format!("{row} form:has([value$='rotate']) button"))
                .await?;
            browser.see(".note code.copy", "").await?;
            browser.see("tbody .badge", "being replaced").await?;
            self.open(&access).await?;
        }
        Ok(())
    }

    /// A receiver that takes the first call, is too busy for the second one, and takes that when it is told again.
    async fn a_webhook_is_tried(&self, tenant: &str) -> Result<()> {
        async fn take(
            State(calls): State<Arc<AtomicUsize>>,
            headers: HeaderMap,
        ) -> (StatusCode, &'static str) {
            let signed = headers.contains_key("webhook-signature");
            match (signed, calls.fetch_add(1, Ordering::SeqCst)) {
                (true, n) if n != 1 => (StatusCode::OK, "thanks"),
                _ => (StatusCode::IM_A_TEAPOT, "<b>too busy</b>"),
            }
        }
        let calls = Arc::new(AtomicUsize::new(0));
        let port = ports::free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let receiver = Router::new().route("/ccm", post(take)).with_state(calls.clone());
        let receiver = tokio::spawn(async move { axum::serve(listener, receiver).await });

        let browser = &self.browser;
        self.open(&format!("{tenant}/webhooks")).await?;
        let url = format!("http://127.0.0.1:{port}/ccm");
        // Of what nobody does meanwhile.
        browser.press("input[value='consent.*']").await?;
        self.fill(
            "form:has([name='_form'][value=new])",
            &[("name", "CRM"), ("url", &url)],
        )
        .await?;
        browser.see("code.copy", "whsec_").await?;
        browser.press("main a.button.main").await?;
        self.see("with the old secret").await?;
        browser
            .press("form:has([name='_form'][value=test]) button")
            .await?;
        browser.see("#answer", "It has taken the call.").await?;
        browser
            .press("form:has([name='_form'][value=test]) button")
            .await?;
        browser.see("#answer", "It has not taken the call.").await?;
        browser.see("#answer", "418").await?;
        self.sound("a webhook that was tried").await?;
        self.picture("webhook-tried", 1280, 1200).await?;
        ensure!(calls.load(Ordering::SeqCst) == 2, "it was not called twice");

        browser.press("tbody td form button").await?;
        self.see("It is on its way again.").await?;
        called(&calls, 3).await?;
        browser
            .press("details:has([name='_form'][value=replay]) summary")
            .await?;
        for (field, at) in [("from", "2020-01-01T00:00"), ("to", "2020-01-02T00:00")] {
            browser
                .run(&format!(
                    "document.querySelector(\"[name='{field}:utc']\").value = '{at}'"
                ))
                .await?;
        }
        browser
            .press("form:has([name='_form'][value=replay]) button")
            .await?;
        self.see("0 are told again").await?;
        let first = "form:has([name='_form'][value=rotate]) button";
        browser.press(first).await?;
        browser.see("code.copy", "whsec_").await?;
        self.see("Signed with the old secret, too, until").await?;
        browser
            .press("form:has([name='_form'][value=test]) button")
            .await?;
        browser.see("#answer", "It has taken the call.").await?;
        self.sound("a webhook with two secrets").await?;
        receiver.abort();
        Ok(())
    }

    async fn texts_are_found(&self, tenant: &str) -> Result<()> {
        let browser = &self.browser;
        self.open(&format!("{tenant}/search")).await?;
        browser.enter("[name=q]", "sti there").await?;
        browser.see(".found mark", "Sti").await?;
        self.sound("texts that were found").await?;
        self.picture("search-found", 1280, 900).await?;
        browser.press(".found a").await?;
        self.see("Save the transcript as").await?;
        let address = browser.attribute("a[href*='_as=txt']", "href").await?;
        let script = format!(
            "return fetch('{}').then(function (a) {{ return a.text().then(function (t) {{ return a.headers.get('content-disposition') + t; }}); }})",
            address.context("no transcript")?
        );
        let saved = browser.run(&script).await?;
        let saved = saved.as_str().context("no text")?;
        ensure!(
            saved.starts_with("attachment; filename=\"transcript-") && saved.contains("Still there?"),
            "{saved}"
        );

        self.open(&format!("{tenant}/opt-outs")).await?;
        browser
            .press("details:has([name='_form'][value=put]) summary")
            .await?;
        let other = "+14697206299";
        self.fill(
            "form:has([name='_form'][value=put])",
            &[("customer_address", other), ("evidence", "asked on the phone")],
        )
        .await?;
        browser.see("tbody", other).await?;
        browser.press("tbody details summary").await?;
        browser
            .enter("tbody [name='evidence:query']", "asked for texts & wrote")
            .await?;
        self.see("Removed.").await?;
        browser.enter("#customer", other).await?;
        browser.see("main li", "asked for texts & wrote").await
    }

    async fn settings_and_templates(&self, tenant: &str) -> Result<()> {
        let change = "form:has([name='_form'][value=change])";
        self.open(&format!("{tenant}/settings")).await?;
        self.browser.press("a[href$='/settings/chat']").await?;
        self.see("The document").await?;
        self.fill(change, &[(":json", "{\"limits\": {\"per_customer\": 0}}")])
            .await?;
        self.browser.see(".field.wrong", "limits.per_customer").await?;
        self.sound("a refused document").await?;
        for most in [4, 5] {
            let document = format!("{{\"limits\": {{\"per_customer\": {most}}}}}");
            self.fill(change, &[(":json", &document)]).await?;
            self.see("Saved.").await?;
        }
        self.open(&format!("{tenant}/settings/retention")).await?;
        self.fill(
            "form:has([name='_form'][value=try])",
            &[("bodies_days:number", "30"), ("metadata_days:number", "60")],
        )
        .await?;
        self.browser.see("#would", "The words of 0 texts").await?;
        self.open(&format!("{tenant}/templates")).await?;
        self.fill(
            "form:has([name='_form'][value=new])",
            &[
                ("name", "Delay"),
                ("text", "Hello {name}, it takes 2 days more – sorry."),
            ],
        )
        .await?;
        self.browser.see("tbody", "because of –").await
    }

    async fn what_was_done_stands_in_the_audit(&self, tenant: &str) -> Result<()> {
        self.open(&format!("{tenant}/audit?kind=chat_settings")).await?;
        self.browser
            .see("tbody dt", "settings.limits.per_customer")
            .await?;
        self.browser.press("a[href$='verify=1']").await?;
        self.browser.see("#verdict", "The chain is intact").await?;
        self.sound("a chain that was verified").await?;
        self.picture("audit-verified", 1280, 1400).await?;
        self.open(&format!("{tenant}/usage")).await?;
        self.see("no cap").await?;
        let caps = "form:has([name='_form'][value=caps])";
        self.fill(caps, &[("daily_mt_segments:number", "5000")]).await?;
        self.browser.see("main", "of 5000 segments").await?;
        self.fill(caps, &[("daily_mt_segments:number", "")]).await?;
        self.see("Saved.").await
    }

    async fn a_tenant_rests_and_goes_on(&self, tenant: &str) -> Result<()> {
        let state = "form:has([name='_form'][value=state])";
        self.open(&format!("{tenant}/state")).await?;
        self.browser
            .press("form:has([name='_form'][value=dry]) button")
            .await?;
        self.browser.see("#would", "What goes for good").await?;
        self.fill(state, &[("reason", "a look at it")]).await?;
        self.browser.see(".side .badge", "suspended").await?;
        self.fill(state, &[("reason", "seen")]).await?;
        self.see("Suspend it").await
    }

    /// Figures are drawn, and stand in a table for those who do not see them; who runs the platform sees its processes.
    async fn how_all_does_is_seen(&self, tenant: &str) -> Result<()> {
        let browser = &self.browser;
        self.open("/console/tenants").await?;
        browser.see("tbody tr", "tenant-0").await?;
        browser.press("tbody th a").await?;
        browser.see("#live", "Chats with agents").await?;
        self.open(&format!("{tenant}/statistics")).await?;
        browser.press("main p.buttons a").await?;
        browser.see("figure", "Texts a minute").await?;
        let drawn = browser
            .attribute("figure svg path.line", "d")
            .await?
            .context("no line is drawn")?;
        ensure!(drawn.starts_with('M') && !drawn.contains("NaN"), "{drawn}");
        browser.press("figure details summary").await?;
        browser.see("figure td", "1").await?;
        self.open("/console/platform").await?;
        for process in ["connector", "dispatch", "ingest"] {
            browser.see("tbody tr", process).await?;
        }
        browser.see("tbody", "lines to providers").await
    }
}
