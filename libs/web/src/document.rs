//! A whole document as a body.

use crate::{
    Problem,
    extract::{ended, json_body, unreadable},
};
use axum::extract::{FromRequest, Request};
use serde::{Serialize, de::DeserializeOwned};
use serde_ignored::Path;
use serde_json::Value;

/// A request's JSON body that is a document whose type passes over fields it does not know, so that an older pod reads what a
/// newer one stored. One that comes from outside is refused for them, and told the nearest field that there is.
#[derive(Debug, Clone, Copy)]
pub struct Document<T>(pub T);

impl<S, T> FromRequest<S> for Document<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Serialize + Default,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = json_body(request, state).await?;
        let mut json = serde_json::Deserializer::from_slice(&body);
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
        let mut passed_over = Vec::new();
        let value = serde_ignored::deserialize(tracked, |path| passed_over.push(steps(&path)))
            .map_err(|error| unreadable(&track.path().to_string(), &error))?;
        ended(json)?;
        match passed_over.first() {
            None => Ok(Self(value)),
            Some(steps) => Err(unknown(steps, &T::default())),
        }
    }
}

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

fn steps(path: &Path) -> Vec<Step> {
    let (parent, step) = match path {
        Path::Root => return Vec::new(),
        Path::Seq { parent, index } => (parent, Some(Step::Index(*index))),
        Path::Map { parent, key } => (parent, Some(Step::Key(key.clone()))),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            (parent, None)
        }
    };
    let mut steps = steps(parent);
    steps.extend(step);
    steps
}

/// As problems name fields: `customer.fields[0].title`.
fn written(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Index(n) => text.push_str(&format!("[{n}]")),
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key]),
        }
    }
    text
}

fn unknown(steps: &[Step], example: &impl Serialize) -> Problem {
    let field = written(steps);
    let known = serde_json::to_value(example).unwrap_or_default();
    let remedy = match nearest(steps, &known) {
        Some(near) => format!("write {near}, or leave it out"),
        None => format!("leave it out; {}", crate::extract::SCHEMA),
    };
    Problem::invalid_field(&field, format!("unknown field {field}")).remedy(remedy)
}

/// What was probably meant: a field beside it that is spelled alike, else one of nearly that name anywhere.
fn nearest(wrong: &[Step], known: &Value) -> Option<String> {
    let (Step::Key(wrong), parents) = wrong.split_last()? else {
        return None;
    };
    let beside = parents.iter().try_fold(known, |at, step| match step {
        // All entries of a map do too; the example names them by a star.
        Step::Key(key) => at.get(key).or_else(|| at.get("*")),
        // All items of a list have the same fields.
        Step::Index(_) => at.get(0),
    });
    let alike = |name: &str| strsim::normalized_damerau_levenshtein(wrong, name);
    let best = |names: &mut dyn Iterator<Item = Vec<Step>>, least: f64| {
        names
            .filter_map(|path| match path.last()? {
                Step::Key(name) => Some((alike(name), path)),
                Step::Index(_) => None,
            })
            .filter(|(score, _)| *score >= least)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, path)| written(&path))
    };
    let beside = beside.and_then(Value::as_object).into_iter().flatten();
    let mut beside = beside.map(|(name, _)| [parents, &[Step::Key(name.clone())]].concat());
    best(&mut beside, 0.5).or_else(|| best(&mut everywhere(known, &[]).into_iter(), 0.8))
}

fn everywhere(at: &Value, path: &[Step]) -> Vec<Vec<Step>> {
    let fields = at.as_object().into_iter().flatten();
    fields
        .flat_map(|(name, inner)| {
            let path = [path, &[Step::Key(name.clone())]].concat();
            let deeper = everywhere(inner, &path);
            [vec![path], deeper].concat()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::header};
    use serde::Deserialize;

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Settings {
        comfort: Option<u32>,
        life: Life,
        fields: Fields,
    }

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Life {
        idle_after_s: Option<u32>,
        note: Option<Note>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(transparent)]
    struct Fields(Vec<Note>);

    #[derive(Debug, Serialize, Deserialize)]
    struct Note {
        title: String,
    }

    impl Default for Fields {
        fn default() -> Self {
            Self(vec![Note { title: "x".into() }])
        }
    }

    async fn read(body: &str) -> Result<Settings, Value> {
        let request = Request::post("/")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        match Document::from_request(request, &()).await {
            Ok(Document(settings)) => Ok(settings),
            Err(problem) => Err(serde_json::to_value(problem).unwrap()),
        }
    }

    #[tokio::test]
    async fn a_document_of_known_fields_is_taken() {
        let body = r#"{"comfort": 1, "life": {"note": {"title": "a"}}, "fields": [{"title": "b"}]}"#;
        let settings = read(body).await.unwrap();
        assert_eq!((settings.comfort, settings.life.idle_after_s), (Some(1), None));
        assert_eq!(settings.life.note.unwrap().title, "a");
        assert_eq!(settings.fields.0[0].title, "b");
        read("{}").await.unwrap();
    }

    #[tokio::test]
    async fn unknown_fields_are_told_with_the_nearest_one() {
        for (body, field, near) in [
            (r#"{"confort": 1}"#, "confort", "write comfort, "),
            (
                r#"{"life": {"idle_s": 1}}"#,
                "life.idle_s",
                "write life.idle_after_s, ",
            ),
            (
                r#"{"idle_after_s": 1}"#,
                "idle_after_s",
                "write life.idle_after_s, ",
            ),
            (
                r#"{"fields": [{"title": "a"}, {"title": "b", "titel": "c"}]}"#,
                "fields[1].titel",
                "write fields[1].title, ",
            ),
            (
                r#"{"life": {"note": {"title": "a", "x": 1}}}"#,
                "life.note.x",
                "leave it out; ",
            ),
            (r#"{"zebra": {"comfort": 1}}"#, "zebra", "leave it out; "),
        ] {
            let problem = read(body).await.unwrap_err();
            assert_eq!(
                (&problem["status"], &problem["field"]),
                (&400.into(), &field.into()),
                "{problem}"
            );
            let remedy = problem["remedy"].as_str().unwrap();
            assert!(remedy.starts_with(near), "{body}: {remedy}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_with_its_field() {
        for (body, field) in [
            (r#"{"life": {"idle_after_s": "long"}}"#, Some("life.idle_after_s")),
            (r#"{"fields": [{}]}"#, Some("fields[0].title")),
            (r#"{"comfort": "#, None),
            (r#"{} {}"#, None),
        ] {
            let problem = read(body).await.unwrap_err();
            assert_eq!(problem["status"], 400, "{problem}");
            assert_eq!(problem["field"].as_str(), field, "{problem}");
        }
    }
}
