use crate::{Problem, extract::holds_nul};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

/// One page of a longer list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The page's items.
    pub items: Vec<T>,
    /// To be given back as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub next_cursor: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page of `limit` items, made from a query that asked for one more: the surplus one says that there is a next page,
    /// which begins after the last item kept.
    pub fn cut<K: Serialize>(mut items: Vec<T>, limit: usize, position: impl Fn(&T) -> K) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items
            .last()
            .filter(|_| more)
            .map(|last| Cursor::at(&position(last)));
        Self { items, next_cursor }
    }
}

/// Where the next page begins. Opaque to clients, and not secret: what it points at is checked as if it were typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor at a row's sort key.
    pub fn at<K: Serialize>(position: &K) -> Self {
        let json = serde_json::to_vec(position).expect("a sort key can be written as JSON");
        Self(BASE64_URL_SAFE_NO_PAD.encode(json))
    }

    /// The sort key again.
    pub fn position<K: DeserializeOwned>(&self) -> Result<K, Problem> {
        let json = BASE64_URL_SAFE_NO_PAD.decode(&self.0).ok();
        json.filter(|json| !holds_nul(json))
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| {
                Problem::invalid_field("cursor", "this is not a cursor of this list")
                    .remedy("give back next_cursor as it was, or leave it out for the first page")
            })
    }
}

/// Which page is wanted.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

impl PageQuery {
    /// How many items the page has at most: 1 to 200, 50 when nothing was said.
    pub fn limit(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(50) {
            limit @ 1..=200 => Ok(limit),
            _ => {
                Err(Problem::invalid_field("limit", "is not between 1 and 200")
                    .remedy("ask for 1 to 200 items"))
            }
        }
    }

    /// After which sort key the page begins; nothing for the first one.
    pub fn position<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        self.cursor.as_ref().map(Cursor::position).transpose()
    }
}
