//! What an agent does in a page: each form is answered with a redirection to the page, which says what came of it. A reload
//! shows; it does nothing again.

use super::{
    dress::{bare, dressed},
    fields::Known,
    meter::replaced,
    page::{Page, Senders},
    stop::Stop,
    told::Told,
    view,
};
use axum::{
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use ccm_db::{DbError, PopChange, PopForm, Written};
use ccm_model::{Address, MessageId};
use ccm_web::Bytes;
use std::collections::HashMap;
use uuid::Uuid;

/// What the columns take; more is cut off, which the page says.
const LONGEST_NUMBER: usize = 50;
const LONGEST_BODY: usize = 2000;
const LONGEST_ORDER: usize = 100;

/// A form as it was sent.
pub struct Sent {
    fields: HashMap<String, String>,
}

impl Sent {
    pub fn read(body: &[u8]) -> Result<Self, Stop> {
        let text = str::from_utf8(body).map_err(|_| Stop::Form)?;
        let fields = url::form_urlencoded::parse(text.as_bytes());
        Ok(Self {
            // Columns take no NUL.
            fields: fields
                .map(|(name, value)| (name.into_owned(), value.replace('\0', "")))
                .collect(),
        })
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// What stood for the page's form when it was shown.
    pub fn form_id(&self) -> Option<MessageId> {
        self.get("m")?.parse().ok()
    }

    /// The form, where a field is not in it as it was before.
    fn form(&self, before: &PopForm, senders: &Senders) -> PopForm {
        let cut = |name: &str, before: &str, longest: usize| {
            let value = self.get(name).unwrap_or(before);
            value.chars().take(longest).collect::<String>()
        };
        let chosen = self.get("sender").and_then(|address| senders.find(address));
        PopForm {
            sender: chosen.unwrap_or(&before.sender).clone(),
            number: cut("number", &before.number, LONGEST_NUMBER).trim().to_owned(),
            // Browsers send CR LF; a phone would get both, and a segment is paid for.
            body: cut("body", &before.body, LONGEST_BODY).replace("\r\n", "\n"),
            order: cut("order", &before.order, LONGEST_ORDER).trim().to_owned(),
        }
    }
}

impl Page {
    pub fn known(&self) -> Known<'_> {
        Known {
            agent: self.claims.agent.as_deref().unwrap_or_default(),
            name: self.claims.name.as_deref().unwrap_or_default(),
            caller: &self.pop.form.number,
            number: self.pop.form.sender.as_str(),
            skillset: self.claims.skillset.as_deref().unwrap_or_default(),
            order: &self.pop.form.order,
        }
    }

    /// In place of the message. What is beyond is more than can be sent, and the meter says so.
    pub fn put_in(&mut self, body: String) {
        self.pop.form.body = body.chars().take(LONGEST_BODY).collect();
    }

    async fn put_in_template(&mut self, id: Option<&str>) -> Result<Told, Stop> {
        let Some(id) = id.and_then(|id| id.parse::<Uuid>().ok()) else {
            return Ok(Told::TemplateGone);
        };
        let row = match self.db().template(id).await {
            Ok(row) => row,
            Err(DbError::NotFound(_)) => return Ok(Told::TemplateGone),
            Err(error) => return Err(error.into()),
        };
        self.put_in(self.known().fill(&row.template.body));
        Ok(Told::Template)
    }

    async fn act(&mut self, sent: &Sent) -> Result<(), Stop> {
        let senders = Senders::of(&self.db()).await?;
        self.pop.form = sent.form(&self.pop.form, &senders);
        let told = match sent.get("do").unwrap_or_default() {
            "check" => self.ask().await?,
            "template" => Some(self.put_in_template(sent.get("template")).await?),
            "replace" => self.replace(),
            "undo" => self.undo(),
            "send" => return self.send(sent, &senders).await,
            "again" => Some(self.send_again(sent, &senders).await?),
            _ => None,
        };
        self.keep(told).await
    }

    fn replace(&mut self) -> Option<Told> {
        let fits = replaced(&self.pop.form.body)?;
        let before = std::mem::replace(&mut self.pop.form.body, fits.text);
        Some(Told::Replaced {
            before: Some(before),
            left_out: fits.left_out,
        })
    }

    fn undo(&mut self) -> Option<Told> {
        let told = Told::kept(self.pop.notice.as_ref())?;
        self.put_in(told.before()?.to_owned());
        Some(Told::Undone)
    }

    /// What stands in the page, of this customer.
    pub fn written<'a>(&'a self, customer: Option<&'a Address>) -> Written<'a> {
        Written {
            form: &self.pop.form,
            customer,
        }
    }

    /// Keeps what stands in the page and what its agent is told.
    pub async fn keep(&self, told: Option<Told>) -> Result<(), Stop> {
        let notice = Told::notice(told.as_ref())?;
        let customer = self.customer();
        let change = PopChange {
            form: Some(self.written(customer.as_ref())),
            notice: Some(&notice),
            ..PopChange::default()
        };
        Ok(self.db().change_pop(self.pop.id, &change).await?)
    }

    /// Keeps what is being written, unless the page is an old one: its text has been sent.
    async fn keep_draft(&mut self, sent: &Sent) -> Result<(), Stop> {
        let shown = sent.form_id();
        if shown != Some(self.pop.next_message) {
            return Ok(());
        }
        let senders = Senders::of(&self.db()).await?;
        self.pop.form = sent.form(&self.pop.form, &senders);
        let customer = self.customer();
        let change = PopChange {
            form: Some(self.written(customer.as_ref())),
            // It may be sent while this is on its way.
            unless_sent: shown,
            ..PopChange::default()
        };
        Ok(self.db().change_pop(self.pop.id, &change).await?)
    }
}

/// `POST /pop/{token}`
pub async fn act(mut page: Page, headers: HeaderMap, Bytes(body): Bytes) -> Response {
    let acted = async {
        let sent = Sent::read(&body)?;
        page.act(&sent).await
    };
    match acted.await {
        Ok(()) => {
            let mut response = Redirect::to(&page.path()).into_response();
            bare(response.headers_mut());
            response
        }
        Err(stop) => stop.page(&headers, page.request),
    }
}

/// `POST /pop/{token}/draft`: what is being written is kept, and counted.
pub async fn draft(mut page: Page, headers: HeaderMap, Bytes(body): Bytes) -> Response {
    let kept = async {
        let sent = Sent::read(&body)?;
        page.keep_draft(&sent).await?;
        view::meter(&page).await
    };
    match kept.await {
        Ok(html) => dressed(html, page.frames()),
        Err(stop) => stop.page(&headers, page.request),
    }
}

/// `POST /pop/{token}/check`: the number is checked without loading the page anew.
pub async fn check(mut page: Page, headers: HeaderMap, Bytes(body): Bytes) -> Response {
    let checked = async {
        let sent = Sent::read(&body)?;
        page.keep_draft(&sent).await?;
        let told = page.ask().await?;
        view::verdict(&page, told).await
    };
    match checked.await {
        Ok(html) => dressed(html, page.frames()),
        Err(stop) => stop.page(&headers, page.request),
    }
}
