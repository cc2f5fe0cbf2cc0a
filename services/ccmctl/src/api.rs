//! The admin API, as its clients see it.

use crate::{
    connection::Connection,
    failure::{Failure, Problem},
    spec::{self, Segment},
};
use ccm_model::IdSource;
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::{cell::RefCell, time::Duration};
use tokio::sync::OnceCell;
use url::{Host, Url};
use uuid::Uuid;

/// Longer than the API lets a request take.
const TIMEOUT: Duration = Duration::from_secs(40);
/// Of what is told as it happens.
const STREAM_TIMEOUT: Duration = Duration::from_secs(3600);
/// Before the same is asked for again, which is safe.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// More is not waited for where the API says when it may be asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

pub struct Api {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
    tenant: RefCell<Option<String>>,
    tenant_id: OnceCell<String>,
    ids: IdSource,
}

/// A query's parameters.
pub type Query<'a> = [(&'a str, String)];

/// One request.
pub struct Ask<'a> {
    pub method: Method,
    pub path: Vec<String>,
    pub query: Vec<(&'a str, String)>,
    pub body: Option<&'a Value>,
    pub if_match: Option<String>,
}

/// What came of it.
pub struct Answered {
    pub value: Value,
    pub etag: Option<String>,
}

impl<'a> Ask<'a> {
    pub fn new(method: Method, path: &[&str]) -> Self {
        Self {
            method,
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            query: Vec::new(),
            body: None,
            if_match: None,
        }
    }
}

impl Api {
    /// Asks nothing yet.
    pub fn connect(to: Connection) -> Result<Self, Failure> {
        const REMEDY: &str = "write --url (or CCMCTL_URL) like https://ccm-admin.example.com";
        let url = &to.url;
        let base =
            Url::parse(url).map_err(|e| Failure::usage(format!("--url {url} is no address: {e}"), REMEDY))?;
        let here = match base.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => return Err(Failure::usage(format!("--url {url} has no host"), REMEDY)),
        };
        match base.scheme() {
            "https" => {}
            "http" if here || to.allow_http => {}
            "http" => {
                return Err(Failure::usage(
                    format!("--url {url} would send the token in the clear to another machine"),
                    "use https://, a tunnel to this machine, or --allow-http if nobody else reads that network",
                ));
            }
            _ => return Err(Failure::usage(format!("--url {url} is not http"), REMEDY)),
        }
        // A program that has none installed cannot open a TLS connection; a second one changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(pem) = &to.ca_pem {
            let found = Certificate::from_pem_bundle(pem);
            http = http.tls_certs_merge(found.map_err(|e| {
                Failure::usage(
                    format!("ca_file has no certificates: {e}"),
                    "name a file of PEM certificates",
                )
            })?);
        }
        let http = http
            .build()
            .map_err(|e| Failure::usage(format!("cannot speak HTTP: {}", reason(e)), "tell support"))?;
        Ok(Self {
            http,
            base,
            token: to.token,
            tenant: RefCell::new(to.tenant),
            tenant_id: OnceCell::new(),
            ids: IdSource::system(),
        })
    }

    pub fn ids(&self) -> &IdSource {
        &self.ids
    }

    /// The tenant that the command itself names.
    pub fn is_about(&self, tenant: &str) {
        self.tenant.replace(Some(tenant.to_owned()));
    }

    /// The id of the tenant that the command is about.
    pub async fn tenant(&self) -> Result<&str, Failure> {
        let named = self.tenant.borrow().clone();
        let find = async || match &named {
            Some(named) => self.tenant_named(named).await,
            None => Err(Failure::usage(
                "no tenant is named",
                "name it with --tenant (its slug or id), in CCMCTL_TENANT, or in a profile",
            )),
        };
        Ok(self.tenant_id.get_or_try_init(find).await?)
    }

    /// A tenant's id, from its id or its slug.
    pub async fn tenant_named(&self, named: &str) -> Result<String, Failure> {
        if Uuid::parse_str(named).is_ok() {
            return Ok(named.to_owned());
        }
        match self.find_tenant(named).await? {
            Some(id) => Ok(id),
            None => Err(Failure::Refused(Problem::not_found(
                format!("There is no tenant {named:?}"),
                "name it by its slug or its id",
            ))),
        }
    }

    /// The id of the tenant of this slug, if there is one.
    pub async fn find_tenant(&self, slug: &str) -> Result<Option<String>, Failure> {
        let filter = [("slug", slug.to_owned())];
        let (all, _) = self.pages(&["v1", "tenants"], &filter, usize::MAX).await?;
        let found = all.iter().find(|tenant| tenant["slug"] == slug);
        Ok(found.and_then(|tenant| tenant["id"].as_str()).map(str::to_owned))
    }

    /// The path of a request, with the tenant and things put in.
    pub async fn path(&self, of: &[Segment], things: &[String]) -> Result<Vec<String>, Failure> {
        let mut things = things.iter();
        let mut path = Vec::with_capacity(of.len());
        for segment in of {
            path.push(match segment {
                Segment::Literal(name) => name.clone(),
                Segment::Param(name) if name == spec::TENANT => self.tenant().await?.to_owned(),
                Segment::Param(_) => things.next().cloned().unwrap_or_default(),
            });
        }
        Ok(path)
    }

    /// At most `most` items of a list, over its pages; and whether there are more.
    pub async fn pages(
        &self,
        path: &[&str],
        filter: &Query<'_>,
        most: usize,
    ) -> Result<(Vec<Value>, bool), Failure> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        while items.len() < most {
            let mut query = filter.to_vec();
            query.push(("limit", (most - items.len()).min(200).to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query).await?;
            if let Value::Array(more) = page["items"].take() {
                items.extend(more);
            }
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return Ok((items, false));
            }
        }
        Ok((items, true))
    }

    pub async fn get(&self, path: &[&str], query: &Query<'_>) -> Result<Value, Failure> {
        let mut ask = Ask::new(Method::GET, path);
        ask.query = query.to_vec();
        Ok(self.ask(&ask).await?.value)
    }

    pub async fn post(&self, path: &[&str], body: Option<&Value>) -> Result<Value, Failure> {
        let mut ask = Ask::new(Method::POST, path);
        ask.body = body;
        Ok(self.ask(&ask).await?.value)
    }

    pub async fn put(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        let mut ask = Ask::new(Method::PUT, path);
        ask.body = Some(body);
        Ok(self.ask(&ask).await?.value)
    }

    /// Asks, and asks again where the connection was lost and that does no harm, or the API asks for patience.
    pub async fn ask(&self, ask: &Ask<'_>) -> Result<Answered, Failure> {
        // The API does what it is asked under one key once.
        let key = (ask.method == Method::POST).then(|| self.ids.next::<Uuid>().to_string());
        let mut waits = AGAIN_AFTER.into_iter();
        loop {
            let failure = match self.ask_once(ask, key.as_deref()).await {
                Err(failure @ Failure::TryAgain { .. }) => failure,
                done => return done,
            };
            let wait = match &failure {
                Failure::TryAgain {
                    after: Some(after), ..
                } if *after <= LONGEST_WAIT => waits.next().map(|_| *after),
                Failure::TryAgain { after: None, .. } if ask.may_be_repeated() => waits.next(),
                _ => None,
            };
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(failure),
            }
        }
    }

    async fn ask_once(&self, ask: &Ask<'_>, key: Option<&str>) -> Result<Answered, Failure> {
        let mut request = self.request(ask);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = self.answer(request).await?;
        let status = answer.status();
        let etag = answer
            .headers()
            .get(header::ETAG)
            .and_then(|etag| etag.to_str().ok());
        let etag = etag.map(str::to_owned);
        if status == StatusCode::NO_CONTENT {
            return Ok(Answered {
                value: Value::Null,
                etag,
            });
        }
        let body = answer.bytes().await.map_err(broken)?;
        let value = serde_json::from_slice(&body);
        let value = value.map_err(|_| Failure::Refused(Problem::foreign(status.as_u16())))?;
        Ok(Answered { value, etag })
    }

    /// An answer that is read piece by piece.
    pub async fn stream(&self, ask: &Ask<'_>, accept: &str) -> Result<Stream, Failure> {
        let request = self
            .request(ask)
            .header(header::ACCEPT, accept)
            .timeout(STREAM_TIMEOUT);
        Ok(Stream(self.answer(request).await?))
    }

    fn request(&self, ask: &Ask<'_>) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&ask.path);
        }
        let mut request = self
            .http
            .request(ask.method.clone(), url)
            .bearer_auth(self.token.expose_secret())
            .query(&ask.query);
        if let Some(body) = ask.body {
            request = request.json(body);
        }
        match &ask.if_match {
            Some(etag) => request.header(header::IF_MATCH, etag),
            None => request,
        }
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let answer = request.send().await.map_err(|error| Failure::TryAgain {
            what: format!(
                "the admin API at {} cannot be reached: {}",
                self.base,
                reason(error)
            ),
            problem: None,
            after: None,
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let after = answer
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|after| after.to_str().ok());
        let after = after
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs);
        let body = answer.bytes().await.map_err(broken)?;
        let problem = serde_json::from_slice(&body).ok();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Failure::TryAgain {
                what: format!("the admin API answered {}", status.as_u16()),
                problem,
                after: after.filter(|_| status == StatusCode::TOO_MANY_REQUESTS),
            });
        }
        Err(Failure::Refused(
            problem.unwrap_or_else(|| Problem::foreign(status.as_u16())),
        ))
    }
}

impl Ask<'_> {
    /// What has a key is done once, however often it is asked for.
    fn may_be_repeated(&self) -> bool {
        self.method == Method::GET || self.method == Method::POST
    }
}

/// An answer's body.
pub struct Stream(Response);

impl Stream {
    /// The next piece; `None` at its end. An answer that broke off is a failure, not an end.
    pub async fn next(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, Failure> {
        self.0.chunk().await.map_err(broken)
    }
}

fn broken(error: reqwest::Error) -> Failure {
    Failure::TryAgain {
        what: format!("the answer broke off: {}", reason(error)),
        problem: None,
        after: None,
    }
}

/// Without the address: its query may hold a customer's number.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        words = format!("{words}: {inner}");
        source = inner.source();
    }
    words
}
