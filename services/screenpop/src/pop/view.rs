//! The page itself.

use super::{
    address::Hint,
    assets::{PLAIN, SCRIPT, STYLE},
    check::{Shown, Verdict},
    dress::dressed,
    history::{self, unrendered},
    meter::{LONGEST, Meter},
    page::{Page, Senders},
    stop::Stop,
    told::{Told, Tone},
    words::Words,
};
use askama::Template;
use axum::{http::HeaderMap, response::Response};
use ccm_db::{SkillsetRow, TemplateRow};
use ccm_numbers::Reading;

#[derive(Template)]
#[template(path = "page.html")]
struct PageView<'a> {
    w: &'static Words,
    style: &'a str,
    plain: &'a str,
    script: &'a str,
    path: String,
    m: String,
    number: &'a str,
    senders: Vec<Choice>,
    templates: Vec<Choice>,
    body: &'a str,
    longest: usize,
    order: &'a str,
    hints: Vec<&'a str>,
    verdict: String,
    told: Option<(Tone, String)>,
    undo: bool,
    meter: String,
    history: String,
    blocked: bool,
    check_at_opening: bool,
}

struct Choice {
    value: String,
    label: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "verdict.html")]
struct VerdictView {
    shown: Option<Shown>,
    told: Option<String>,
}

#[derive(Template)]
#[template(path = "meter.html")]
struct MeterView {
    meter: Meter,
}

/// What is known about the number, and what went wrong when it was asked about.
pub async fn verdict(page: &Page, told: Option<Told>) -> Result<String, Stop> {
    let verdict = page.verdict().await?;
    let view = VerdictView {
        shown: verdict.map(|verdict| verdict.shown(page.words)),
        told: told.map(|told| told.words(page.words)),
    };
    view.render().map_err(unrendered)
}

/// How much of an SMS the message takes.
pub async fn meter(page: &Page) -> Result<String, Stop> {
    let (sms, _) = page.db().settings::<ccm_model::SmsSettings>().await?;
    let view = MeterView {
        meter: Meter::of(
            &page.known().fill(&page.pop.form.body),
            sms.transliterate,
            page.words,
        ),
    };
    view.render().map_err(unrendered)
}

fn hint(hint: Hint, w: &Words) -> &str {
    match hint {
        Hint::Missing => &w.hint_missing,
        Hint::Placeholder => &w.hint_placeholder,
        Hint::Anonymous => &w.hint_anonymous,
        Hint::Extension => &w.hint_extension,
        Hint::Unreadable => &w.hint_unreadable,
        Hint::WhichCountry => &w.hint_which_country,
    }
}

impl Page {
    /// The tenant's templates that this call's agent and skillset have.
    async fn templates(&self) -> Result<Vec<TemplateRow>, Stop> {
        let (db, claims) = (self.db(), &self.claims);
        let skillsets = db.skillsets().await?;
        let named = |s: &&SkillsetRow| Some(s.name.as_str()) == claims.skillset.as_deref();
        let skillset = skillsets.iter().find(named).map(|s| s.id);
        Ok(db.templates_for(skillset, claims.agent.as_deref()).await?)
    }

    async fn view(&self) -> Result<String, Stop> {
        let form = &self.pop.form;
        let senders = Senders::of(&self.db()).await?;
        let verdict_is = self.verdict().await?;
        let shown = verdict_is.as_ref().map(|verdict| verdict.shown(self.words));
        let told = Told::kept(self.pop.notice.as_ref());
        let claimed = self
            .claims
            .hint
            .filter(|hint| match hint {
                Hint::WhichCountry => matches!(self.number(), Some(Reading::Either { .. })),
                _ => form.number.is_empty(),
            })
            .map(|h| hint(h, self.words));
        let strange = self
            .claims
            .strange_sender
            .then_some(self.words.hint_sender.as_str());
        let templates = self.templates().await?;
        let view = PageView {
            w: self.words,
            style: &STYLE.name,
            plain: &PLAIN.name,
            script: &SCRIPT.name,
            path: self.path(),
            m: self.pop.next_message.to_string(),
            number: &form.number,
            senders: senders
                .0
                .into_iter()
                .map(|sender| Choice {
                    chosen: sender.address == form.sender,
                    label: match sender.skillset.as_str() {
                        "" => sender.address.as_str().to_owned(),
                        skillset => format!("{} ({skillset})", sender.address.as_str()),
                    },
                    value: sender.address.as_str().to_owned(),
                })
                .collect(),
            templates: templates
                .into_iter()
                .map(|row| Choice {
                    value: row.id.to_string(),
                    label: row.template.name,
                    chosen: false,
                })
                .collect(),
            body: &form.body,
            longest: LONGEST,
            order: &form.order,
            hints: claimed.into_iter().chain(strange).collect(),
            blocked: matches!(verdict_is, Some(Verdict::OptedOut { .. } | Verdict::Ours)),
            verdict: VerdictView { shown, told: None }.render().map_err(unrendered)?,
            undo: told.as_ref().is_some_and(|told| told.before().is_some()),
            told: told.map(|told| (told.tone(), told.words(self.words))),
            meter: meter(self).await?,
            history: history::fragment(self, false).await?,
            check_at_opening: self.settings.check_at_opening,
        };
        view.render().map_err(unrendered)
    }
}

/// `GET /pop/{token}`
pub async fn show(page: Page, headers: HeaderMap) -> Response {
    match page.view().await {
        Ok(html) => dressed(html, page.frames()),
        Err(stop) => stop.page(&headers, page.request),
    }
}
