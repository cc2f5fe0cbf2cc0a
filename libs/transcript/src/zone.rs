use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};
use std::sync::LazyLock;
use time::OffsetDateTime;

/// The zones that come with `jiff`, whatever the machine has.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone of the IANA database, which comes with `jiff`.
#[derive(Debug, Clone)]
pub struct Zone {
    zone: TimeZone,
    name: String,
}

/// There is no such zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a time zone of the IANA database")]
pub struct UnknownZone;

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self {
            zone: TimeZone::UTC,
            name: "UTC".to_owned(),
        }
    }

    /// By its name, as in `Europe/Berlin`.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        let zone = ZONES.get(name).map_err(|_| UnknownZone)?;
        // As the database writes it, and not as it was asked for.
        let name = zone.iana_name().ok_or(UnknownZone)?.to_owned();
        Ok(Self { zone, name })
    }

    /// The zone's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Date, time and offset on the wall there: `2026-11-30 09:15:00 +01:00`.
    pub fn moment(&self, at: OffsetDateTime) -> String {
        let at = Timestamp::from_second(at.unix_timestamp()).unwrap_or_default();
        at.to_zoned(self.zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S %:z")
            .to_string()
    }
}
