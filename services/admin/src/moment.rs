//! Moments that callers name, as RFC 3339: of years that the database and every time zone can hold.

use serde::{Deserializer, Serialize, Serializer, de::Error};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

const YEARS: std::ops::RangeInclusive<i32> = 1970..=9998;

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<OffsetDateTime, D::Error> {
    within(time::serde::rfc3339::deserialize(from)?)
}

fn within<E: Error>(at: OffsetDateTime) -> Result<OffsetDateTime, E> {
    match at.checked_to_offset(UtcOffset::UTC) {
        Some(utc) if YEARS.contains(&utc.year()) => Ok(at),
        _ => Err(E::custom("the moment is not in the years 1970 to 9998 of UTC")),
    }
}

/// One that may be left out.
pub mod option {
    use super::*;

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<OffsetDateTime>, D::Error> {
        let at = time::serde::rfc3339::option::deserialize(from)?;
        at.map(within).transpose()
    }

    pub fn serialize<S: Serializer>(at: &Option<OffsetDateTime>, to: S) -> Result<S::Ok, S::Error> {
        at.map(|at| at.format(&Rfc3339).map_err(serde::ser::Error::custom))
            .transpose()?
            .serialize(to)
    }
}

/// One that may be left out, or be `null`.
pub fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<OffsetDateTime>>, D::Error> {
    option::deserialize(from).map(Some)
}
