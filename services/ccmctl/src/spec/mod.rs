//! The API's own document, compiled in: what can be asked, and by which command.
//!
//! A new route is a new command without a line of code: [`naming`] makes its words from its path, [`schema`] its flags
//! from its parameters and its body.

mod naming;
pub mod schema;

use schema::Schema;
use serde_json::Value;

/// All that the API can do.
pub struct Spec {
    document: &'static Value,
    operations: Vec<Operation>,
}

/// One of them.
pub struct Operation {
    pub id: String,
    pub method: Method,
    pub path: Vec<Segment>,
    /// The command's words: nouns, then mostly a verb.
    pub words: Vec<String>,
    pub summary: String,
    pub description: String,
    /// What stands in the path, but for the tenant.
    pub things: Vec<Parameter>,
    /// What stands in the query.
    pub query: Vec<Parameter>,
    /// Whether it takes an `If-Match`.
    pub if_match: bool,
    pub body: Option<Body>,
    pub answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    Literal(String),
    Param(String),
}

/// One in a path or a query.
pub struct Parameter {
    pub name: String,
    pub help: String,
    pub required: bool,
    pub schema: Schema,
}

pub struct Body {
    pub schema: Schema,
    pub required: bool,
}

/// What it answers when it goes well.
#[derive(Default)]
pub struct Answer {
    pub json: Option<Schema>,
    /// Lines that come as they happen, by their content type.
    pub stream: Option<&'static str>,
    pub csv: bool,
    /// Something else than these.
    pub other: bool,
    pub etag: bool,
}

impl Method {
    pub const ALL: [(&str, Self); 5] = [
        ("get", Self::Get),
        ("post", Self::Post),
        ("put", Self::Put),
        ("patch", Self::Patch),
        ("delete", Self::Delete),
    ];

    pub fn http(self) -> reqwest::Method {
        match self {
            Self::Get => reqwest::Method::GET,
            Self::Post => reqwest::Method::POST,
            Self::Put => reqwest::Method::PUT,
            Self::Patch => reqwest::Method::PATCH,
            Self::Delete => reqwest::Method::DELETE,
        }
    }
}

impl Spec {
    /// The one that this program was built with. It is read once, and stays for as long as the program runs.
    pub fn embedded() -> Self {
        let document = serde_json::from_str(include_str!("../../../../docs/openapi.json"))
            .expect("docs/openapi.json is JSON: a test writes it");
        Self::of(Box::leak(Box::new(document)))
    }

    fn of(document: &'static Value) -> Self {
        let mut operations = Vec::new();
        for (path, methods) in members(&document["paths"]) {
            for (name, method) in Method::ALL {
                if let Some(operation) = methods.get(name) {
                    operations.push(Operation::of(document, path, method, operation));
                }
            }
        }
        naming::name(&mut operations, document);
        Self { document, operations }
    }

    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation at a path as the document writes it.
    pub fn at(&self, method: Method, path: &str) -> Option<&Operation> {
        let path = segments(path);
        self.beside(method, &path)
    }

    /// The operation of another method at the same path. Names of its parameters do not matter.
    pub fn beside(&self, method: Method, path: &[Segment]) -> Option<&Operation> {
        let same = |a: &Segment, b: &Segment| match (a, b) {
            (Segment::Param(_), Segment::Param(_)) => true,
            (a, b) => a == b,
        };
        self.operations.iter().find(|operation| {
            operation.method == method
                && operation.path.len() == path.len()
                && operation.path.iter().zip(path).all(|(a, b)| same(a, b))
        })
    }

    /// A schema by its name.
    pub fn schema(&self, name: &str) -> Option<Schema> {
        let found = self.document["components"]["schemas"].get(name)?;
        Some(Schema::of(self.document, found))
    }

    /// What the document says about a subject.
    pub fn about(&self, tag: &str) -> Option<&'static str> {
        let tags = self.document["tags"].as_array()?;
        tags.iter().find(|t| t["name"] == tag)?["description"].as_str()
    }
}

impl Operation {
    fn of(document: &'static Value, path: &str, method: Method, of: &'static Value) -> Self {
        let parameters: Vec<&Value> = of["parameters"].as_array().into_iter().flatten().collect();
        let found = |place: &str| -> Vec<Parameter> {
            let here = parameters
                .iter()
                .filter(|p| p["in"] == place && (place != "path" || p["name"] != TENANT));
            here.map(|p| Parameter::of(document, p)).collect()
        };
        let body = of["requestBody"]["content"].get("application/json");
        Self {
            id: text(of, "operationId"),
            method,
            path: segments(path),
            words: Vec::new(),
            summary: text(of, "summary"),
            description: text(of, "description"),
            things: found("path"),
            query: found("query"),
            if_match: parameters.iter().any(|p| p["name"] == "If-Match"),
            body: body.map(|body| Body {
                schema: Schema::of(document, &body["schema"]),
                required: of["requestBody"]["required"] == true,
            }),
            answer: Answer::of(document, &of["responses"]),
        }
    }

    pub fn of_tenant(&self) -> bool {
        self.path
            .iter()
            .any(|segment| *segment == Segment::Param(TENANT.to_owned()))
    }

    /// The path of the list that a parameter of this one's path names a thing of.
    pub fn list_of(&self, thing: &str) -> Option<&[Segment]> {
        let at = self
            .path
            .iter()
            .position(|segment| *segment == Segment::Param(thing.to_owned()))?;
        Some(&self.path[..at])
    }

    /// What follows a tenant in its path; all of it where there is none.
    pub fn below_tenant(&self) -> &[Segment] {
        match self.path.get(2) {
            Some(Segment::Param(name)) if name == TENANT => &self.path[3..],
            _ => &self.path[1..],
        }
    }

    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.query.iter().find(|parameter| parameter.name == name)
    }
}

impl Parameter {
    fn of(document: &'static Value, of: &'static Value) -> Self {
        Self {
            name: text(of, "name"),
            help: text(of, "description"),
            required: of["required"] == true,
            schema: Schema::of(document, &of["schema"]),
        }
    }
}

/// The path's parameter that every engineer's command takes from `--tenant`.
pub const TENANT: &str = "tenant";

impl Answer {
    fn of(document: &'static Value, responses: &'static Value) -> Self {
        let mut answer = Self::default();
        for (status, response) in members(responses) {
            if !status.starts_with('2') {
                continue;
            }
            answer.etag |= response["headers"].get("ETag").is_some();
            for (kind, content) in members(&response["content"]) {
                match kind.as_str() {
                    "application/json" => answer.json = Some(Schema::of(document, &content["schema"])),
                    "application/x-ndjson" => answer.stream = Some("application/x-ndjson"),
                    "text/event-stream" => {
                        answer.stream.get_or_insert("text/event-stream");
                    }
                    "text/csv" => answer.csv = true,
                    _ => answer.other = true,
                }
            }
        }
        answer
    }

    /// The schema of a list's items.
    pub fn items(&self) -> Option<Schema> {
        self.json.as_ref()?.property("items")?.items()
    }

    /// The member that leads to the next page, and the parameter that takes it.
    pub fn next(&self) -> Option<(&'static str, &'static str)> {
        self.items()?;
        let json = self.json.as_ref()?;
        let pairs = [
            ("next_cursor", "cursor"),
            ("next_after", "after"),
            ("next", "after"),
        ];
        pairs
            .into_iter()
            .find(|(member, _)| json.property(member).is_some())
    }
}

fn segments(path: &str) -> Vec<Segment> {
    let of = |part: &str| match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
        Some(name) => Segment::Param(name.to_owned()),
        None => Segment::Literal(part.to_owned()),
    };
    path.split('/').filter(|part| !part.is_empty()).map(of).collect()
}

fn members(of: &'static Value) -> impl Iterator<Item = (&'static String, &'static Value)> {
    of.as_object().into_iter().flatten()
}

fn text(of: &Value, member: &str) -> String {
    of[member].as_str().unwrap_or_default().to_owned()
}
