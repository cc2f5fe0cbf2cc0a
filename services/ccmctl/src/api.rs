//! The admin API, as its clients see it.

use crate::failure::{Failure, Problem};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::{fs, path::Path, time::Duration};
use url::{Host, Url};
use uuid::Uuid;

/// Longer than the API lets a request take.
const TIMEOUT: Duration = Duration::from_secs(40);

pub struct Api {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
}

/// A query's parameters.
pub type Query<'a> = [(&'a str, String)];

impl Api {
    /// Finds address and token; asks nothing yet.
    pub fn connect(url: &str, token_file: Option<&Path>, allow_http: bool) -> Result<Self, Failure> {
        const REMEDY: &str = "write --url (or CCM_URL) like https://ccm-admin.example.com";
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
            "http" if here || allow_http => {}
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
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Failure::usage(format!("cannot speak HTTP: {e}"), "tell support"))?;
        Ok(Self {
            http,
            base,
            token: token(token_file)?,
        })
    }

    /// A tenant's id, from its id or its slug.
    pub async fn tenant(&self, named: &str) -> Result<Uuid, Failure> {
        if let Ok(id) = Uuid::parse_str(named) {
            return Ok(id);
        }
        let mut query = vec![("limit", "200".to_owned())];
        loop {
            let page = self.get(&["v1", "tenants"], &query).await?;
            let mut items = page["items"].as_array().into_iter().flatten();
            if let Some(found) = items.find(|tenant| tenant["slug"] == named) {
                let id = found["id"].as_str().and_then(|id| Uuid::parse_str(id).ok());
                return id.ok_or_else(|| Failure::Refused(Problem::foreign(200)));
            }
            let Some(cursor) = page["next_cursor"].as_str() else {
                return Err(Failure::Refused(Problem::of(
                    format!("There is no tenant {named:?}"),
                    "name it by its slug or its id",
                )));
            };
            query = vec![("limit", "200".to_owned()), ("cursor", cursor.to_owned())];
        }
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
        self.json(self.request(Method::GET, path)?.query(query)).await
    }

    pub async fn post(&self, path: &[&str], body: Option<&Value>) -> Result<Value, Failure> {
        let request = self.request(Method::POST, path)?;
        self.json(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    pub async fn put(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.json(self.request(Method::PUT, path)?.json(body)).await
    }

    /// An answer that is read piece by piece.
    pub async fn stream(&self, path: &[&str], query: &Query<'_>, accept: &str) -> Result<Stream, Failure> {
        let request = self.request(Method::GET, path)?;
        let request = request
            .query(query)
            .header(header::ACCEPT, accept)
            .timeout(Duration::from_secs(3600));
        Ok(Stream(self.answer(request).await?))
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Failure> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Ok(self
            .http
            .request(method, url)
            .bearer_auth(self.token.expose_secret()))
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let answer = self.answer(request).await?;
        let status = answer.status();
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let body = answer.bytes().await.map_err(broken)?;
        serde_json::from_slice(&body).map_err(|_| Failure::Refused(Problem::foreign(status.as_u16())))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let answer = request.send().await.map_err(|error| Failure::TryAgain {
            what: format!(
                "the admin API at {} cannot be reached: {}",
                self.base,
                reason(error)
            ),
            problem: None,
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.bytes().await.map_err(broken)?;
        let problem = serde_json::from_slice(&body).ok();
        if status.is_server_error() {
            return Err(Failure::TryAgain {
                what: format!("the admin API answered {}", status.as_u16()),
                problem,
            });
        }
        Err(Failure::Refused(
            problem.unwrap_or_else(|| Problem::foreign(status.as_u16())),
        ))
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

fn token(file: Option<&Path>) -> Result<SecretString, Failure> {
    const REMEDY: &str = "put what `ccm token --role engineer --subject YOU` prints into a file for --token-file, or into CCM_TOKEN";
    let token = match file {
        Some(file) => fs::read_to_string(file)
            .map_err(|e| Failure::usage(format!("{} cannot be read: {e}", file.display()), REMEDY))?,
        None => std::env::var("CCM_TOKEN").unwrap_or_default(),
    };
    let token = token.trim();
    if token.is_empty() {
        return Err(Failure::usage("there is no token", REMEDY));
    }
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Failure::usage("what should be a token is none", REMEDY));
    }
    Ok(token.into())
}
