//! What several requests read alike.

use axum::{
    extract::{FromRequest, Request},
    http::header,
};
use ccm_db::Part;
use ccm_model::Address;
use ccm_web::{Cursor, Json, Problem, plus};
use serde::de::DeserializeOwned;

/// How many items a page has at most: 1 to 200, 50 when nothing was said.
pub fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(50) {
        limit @ 1..=200 => Ok(limit),
        _ => Err(Problem::invalid_field("limit", "limit is not between 1 and 200")
            .remedy("ask for 1 to 200 items")),
    }
}

/// The longest part that there is, from the beginning.
pub const FIRST_PART: Part = Part {
    after: None,
    limit: 200,
};

/// A part of a list that is sorted by names or addresses, of one item more than the page: the surplus one says that there is a
/// next page.
pub fn part(asked: Option<usize>, cursor: Option<&Cursor>) -> Result<(usize, Part), Problem> {
    let limit = limit(asked)?;
    let part = Part {
        after: cursor.map(Cursor::position).transpose()?,
        limit: limit as i64 + 1,
    };
    Ok((limit, part))
}

/// An address in a query.
pub fn address(field: &'static str, raw: &str) -> Result<Address, Problem> {
    Address::parse(&plus(raw)).map_err(|error| {
        Problem::invalid_field(field, format!("{field} {error}"))
            .remedy(format!("write it like {field}=%2B353861234567"))
    })
}

/// A JSON body that may be left out.
pub struct OptionalJson<T>(pub Option<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let headers = request.headers();
        let length = headers
            .get(header::CONTENT_LENGTH)
            .map(|length| length.as_bytes());
        let empty =
            length.is_none_or(|length| length == b"0") && !headers.contains_key(header::TRANSFER_ENCODING);
        if empty && !headers.contains_key(header::CONTENT_TYPE) {
            return Ok(Self(None));
        }
        let Json(body) = Json::from_request(request, state).await?;
        Ok(Self(Some(body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Result<String, u16> {
        let address = address("customer", raw).map_err(|problem| problem.status().as_u16())?;
        Ok(String::from(address))
    }

    #[test]
    fn a_plus_that_the_query_made_a_space_is_a_plus() {
        for raw in ["+353861234567", " 353861234567", "+353 86 123-4567"] {
            assert_eq!(read(raw), Ok("+353861234567".to_owned()), "{raw}");
        }
        assert_eq!(read("72345"), Ok("72345".to_owned()));
        for raw in ["", "353861234567", "+1"] {
            assert_eq!(read(raw), Err(400), "{raw}");
        }
    }

    #[test]
    fn pages_have_1_to_200_items() {
        assert_eq!(limit(None).unwrap(), 50);
        assert_eq!((limit(Some(1)).unwrap(), limit(Some(200)).unwrap()), (1, 200));
        assert!(limit(Some(0)).is_err() && limit(Some(201)).is_err());
    }
}
