use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A time of day on the wall, to the minute: `09:00`. `24:00` is the end of the day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

/// A day that a holiday falls on: `12-25` each year, or `2026-04-03` once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HolidayDate {
    Yearly { month: i8, day: i8 },
    Once(Date),
}

impl TimeOfDay {
    /// `None` beyond 24:00.
    pub fn new(hour: u16, minute: u16) -> Option<Self> {
        let minutes = hour * 60 + minute;
        (hour <= 24 && minute < 60 && minutes <= 24 * 60).then_some(Self(minutes))
    }

    /// Since midnight: 0 to 1440.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

/// Exactly so many digits.
fn digits(text: &str, count: usize) -> Option<u16> {
    let fits = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

impl TryFrom<String> for TimeOfDay {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let read = || {
            let (hour, minute) = text.split_once(':')?;
            Self::new(digits(hour, 2)?, digits(minute, 2)?)
        };
        read().ok_or("not a time of day; write it like 09:00, the end of the day as 24:00")
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for HolidayDate {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let read = || {
            let mut parts = text.rsplit('-');
            let day = digits(parts.next()?, 2)?.try_into().ok()?;
            let month = digits(parts.next()?, 2)?.try_into().ok()?;
            let year = parts.next().map(|year| digits(year, 4));
            if parts.next().is_some() {
                return None;
            }
            match year {
                Some(year) => Some(Self::Once(Date::new(year?.try_into().ok()?, month, day).ok()?)),
                // Every day that there can be is one of the year 2000.
                None => {
                    Date::new(2000, month, day).ok()?;
                    Some(Self::Yearly { month, day })
                }
            }
        };
        read().ok_or("not a day; write it like 12-25 for each year, or like 2026-04-03 for one")
    }
}

impl From<HolidayDate> for String {
    fn from(date: HolidayDate) -> Self {
        date.to_string()
    }
}

impl fmt::Display for HolidayDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yearly { month, day } => write!(f, "{month:02}-{day:02}"),
            Self::Once(date) => write!(f, "{date}"),
        }
    }
}

impl fmt::Debug for HolidayDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_days_are_written_as_they_are_read() {
        for good in ["00:00", "09:05", "23:59", "24:00"] {
            assert_eq!(TimeOfDay::try_from(good.to_owned()).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "9:00",
            "24:01",
            "25:00",
            "12:60",
            "12",
            "+1:00",
            "12:00:00",
            "١٢:٠٠",
        ] {
            assert!(TimeOfDay::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        for good in ["12-25", "02-29", "2026-04-03", "2028-02-29"] {
            assert_eq!(HolidayDate::try_from(good.to_owned()).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "12-32",
            "02-30",
            "13-01",
            "2026-02-29",
            "26-04-03",
            "4-3",
            "2026-04-03T00:00",
            "1-2026-04-03",
        ] {
            assert!(HolidayDate::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
