use crate::{Calendar, HolidayDate, Interval};
use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time, Weekday},
    tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase},
};
use std::{collections::HashMap, fmt, sync::LazyLock};
use time::OffsetDateTime;

/// How far an opening is looked for.
const DAYS_AHEAD: usize = 400;
const DAY_MIN: u16 = 24 * 60;

/// The zones that come with `jiff`, whatever the machine has.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// There is no time zone of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no IANA time zone")]
pub struct NoSuchZone;

/// A calendar made ready. Everything goes by its zone's clock on the wall: a time that is skipped in spring does not come, and
/// one that comes twice in autumn is open twice.
#[derive(Clone)]
pub struct BusinessHours {
    zone: TimeZone,
    /// Monday first.
    weekly: [Vec<Span>; 7],
    once: HashMap<Date, Day>,
    yearly: HashMap<(i8, i8), Day>,
}

/// A moment, as a calendar sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment<'a> {
    pub open: bool,
    /// The holiday that the day is, open or not.
    pub holiday: Option<&'a str>,
    /// What the wall's clock shows.
    pub(crate) wall: DateTime,
}

#[derive(Debug, Clone)]
struct Day {
    name: String,
    spans: Vec<Span>,
}

/// Minutes since the day's midnight; `to` is beyond 1440 for what goes on after the next one.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: u16,
    to: u16,
}

pub(crate) fn zone(name: &str) -> Result<TimeZone, NoSuchZone> {
    let zone = ZONES.get(name).map_err(|_| NoSuchZone)?;
    if zone.is_unknown() {
        Err(NoSuchZone)
    } else {
        Ok(zone)
    }
}

impl BusinessHours {
    pub fn new(calendar: &Calendar) -> Result<Self, NoSuchZone> {
        let (mut once, mut yearly) = (HashMap::new(), HashMap::new());
        for holiday in &calendar.holidays {
            let day = Day {
                name: holiday.name.clone(),
                spans: spans(&holiday.hours),
            };
            match holiday.date {
                HolidayDate::Once(date) => once.insert(date, day).map(drop),
                HolidayDate::Yearly { month, day: of } => yearly.insert((month, of), day).map(drop),
            };
        }
        Ok(Self {
            zone: zone(&calendar.time_zone)?,
            weekly: calendar.weekly.days().map(|(_, hours)| spans(hours)),
            once,
            yearly,
        })
    }

    pub fn is_open(&self, now: OffsetDateTime) -> bool {
        self.at(now).open
    }

    /// Whether it is open, and why.
    pub fn at(&self, now: OffsetDateTime) -> Moment<'_> {
        let wall = self.zone.to_datetime(timestamp(now));
        Moment {
            open: self.is_open_on_the_wall(wall),
            holiday: self.holiday(wall.date()).map(|day| day.name.as_str()),
            wall,
        }
    }

    /// The first moment from `now` on at which it is open: `now` itself while it is. In UTC. `None` if it stays closed for 400
    /// days.
    pub fn next_opening(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let now = timestamp(now);
        if self.is_open_at(now) {
            return utc(now);
        }
        // It opens where an interval begins, or where the wall's clock is set.
        let mut first: Option<Timestamp> = None;
        let today = self.zone.to_datetime(now).date();
        // A clock that is set back over midnight brings a day once more: one day before and beyond is enough.
        let mut date = today.yesterday().unwrap_or(today);
        for _ in 0..=DAYS_AHEAD + 1 {
            for span in self.spans(date) {
                self.instants(date, span.from, |at| {
                    if at > now && first.is_none_or(|first| at < first) && self.is_open_at(at) {
                        first = Some(at);
                    }
                });
            }
            if first.is_some_and(|first| self.zone.to_datetime(first).date() < date) {
                break;
            }
            match date.tomorrow() {
                Ok(next) => date = next,
                Err(_) => break,
            }
        }
        let limit = first.or_else(|| self.zone.to_timestamp(date.to_datetime(Time::MIN)).ok())?;
        self.zone
            .following(now)
            .map(|set| set.timestamp())
            .take_while(|set| *set < limit)
            .find(|set| self.is_open_at(*set))
            .or(first)
            .and_then(utc)
    }

    pub(crate) fn wall(&self, at: OffsetDateTime) -> DateTime {
        self.zone.to_datetime(timestamp(at))
    }

    fn is_open_at(&self, at: Timestamp) -> bool {
        self.is_open_on_the_wall(self.zone.to_datetime(at))
    }

    fn is_open_on_the_wall(&self, wall: DateTime) -> bool {
        let minute = wall.hour() as u16 * 60 + wall.minute() as u16;
        let date = wall.date();
        let open = |span: &Span, minute| span.from <= minute && minute < span.to;
        if self.spans(date).iter().any(|span| open(span, minute)) {
            return true;
        }
        let shift = || {
            let before = date.yesterday().ok()?;
            Some(self.spans(before).iter().any(|span| open(span, minute + DAY_MIN)))
        };
        self.holiday(date).is_none() && shift().unwrap_or(false)
    }

    fn holiday(&self, date: Date) -> Option<&Day> {
        let yearly = || self.yearly.get(&(date.month(), date.day()));
        self.once.get(&date).or_else(yearly)
    }

    /// What begins on the day.
    fn spans(&self, date: Date) -> &[Span] {
        match self.holiday(date) {
            Some(day) => &day.spans,
            None => &self.weekly[monday_first(date.weekday())],
        }
    }

    /// When the wall's clock shows this: once, twice, or never.
    fn instants(&self, date: Date, minute: u16, mut each: impl FnMut(Timestamp)) {
        let wall = date.at((minute / 60) as i8, (minute % 60) as i8, 0, 0);
        let ambiguous = self.zone.to_ambiguous_timestamp(wall);
        let mut at = |offset: Offset| {
            if let Ok(at) = offset.to_timestamp(wall) {
                each(at);
            }
        };
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => at(offset),
            AmbiguousOffset::Fold { before, after } => {
                at(before);
                at(after);
            }
            AmbiguousOffset::Gap { .. } => {}
        }
    }
}

impl fmt::Debug for BusinessHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusinessHours")
            .field("zone", &self.zone.iana_name())
            .field("holidays", &(self.once.len() + self.yearly.len()))
            .finish_non_exhaustive()
    }
}

fn monday_first(day: Weekday) -> usize {
    day.to_monday_zero_offset() as usize
}

fn spans(hours: &[Interval]) -> Vec<Span> {
    let span = |interval: &Interval| {
        let (from, to) = (interval.from.minutes(), interval.to.minutes());
        let to = if to > from { to } else { to + DAY_MIN };
        Span { from, to }
    };
    hours.iter().map(span).collect()
}

/// Both count nanoseconds since 1970; years beyond 9999 are the last moment of that one.
fn timestamp(at: OffsetDateTime) -> Timestamp {
    let nanos = at.unix_timestamp_nanos();
    Timestamp::from_nanosecond(nanos).unwrap_or(if nanos < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

fn utc(at: Timestamp) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(at.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Holiday, TimeOfDay, Weekly};
    use proptest::prelude::*;
    use std::ops::Range;
    use time::{Duration, format_description::well_known::Rfc3339};

    fn time(text: &str) -> TimeOfDay {
        text.to_owned().try_into().unwrap()
    }

    fn hours(text: &str) -> Vec<Interval> {
        let intervals = text.split_whitespace().map(|one| one.split_once('-').unwrap());
        intervals
            .map(|(from, to)| Interval {
                from: time(from),
                to: time(to),
            })
            .collect()
    }

    fn every_day(text: &str) -> Weekly {
        let hours = || hours(text);
        Weekly {
            monday: hours(),
            tuesday: hours(),
            wednesday: hours(),
            thursday: hours(),
            friday: hours(),
            saturday: hours(),
            sunday: hours(),
        }
    }

    fn office(zone: &str) -> Calendar {
        Calendar {
            time_zone: zone.to_owned(),
            weekly: Weekly {
                saturday: vec![],
                sunday: vec![],
                ..every_day("09:00-17:30")
            },
            holidays: vec![],
        }
    }

    fn holiday(date: &str, own: &str) -> Holiday {
        Holiday {
            name: format!("day {date}"),
            date: date.to_owned().try_into().unwrap(),
            hours: hours(own),
        }
    }

    fn at(text: &str) -> OffsetDateTime {
        OffsetDateTime::parse(text, &Rfc3339).unwrap()
    }

    /// When it opens next, in UTC.
    fn opening(calendar: &Calendar, now: &str) -> String {
        let hours = BusinessHours::new(calendar).unwrap();
        match hours.next_opening(at(now)) {
            Some(at) => at.format(&Rfc3339).unwrap(),
            None => "never".to_owned(),
        }
    }

    #[test]
    fn it_opens_by_the_walls_clock() {
        for (zone, now, opens) in [
            // Open now, a second before closing, closed.
            ("Europe/Berlin", "2026-11-27T09:00:30Z", "2026-11-27T09:00:30Z"),
            ("Europe/Berlin", "2026-11-27T16:29:59Z", "2026-11-27T16:29:59Z"),
            ("Europe/Berlin", "2026-11-27T16:30:00Z", "2026-11-30T08:00:00Z"),
            // Over the weekend in which summer begins, and ends.
            ("Europe/Berlin", "2026-03-27T20:00:00Z", "2026-03-30T07:00:00Z"),
            ("Europe/Berlin", "2026-10-23T20:00:00Z", "2026-10-26T08:00:00Z"),
            ("America/New_York", "2026-03-06T23:00:00Z", "2026-03-09T13:00:00Z"),
            ("America/New_York", "2026-10-30T23:00:00Z", "2026-11-02T14:00:00Z"),
            // Half an hour of summer.
            (
                "Australia/Lord_Howe",
                "2026-04-03T12:00:00Z",
                "2026-04-05T22:30:00Z",
            ),
            (
                "Australia/Lord_Howe",
                "2026-10-02T12:00:00Z",
                "2026-10-04T22:00:00Z",
            ),
            ("Asia/Kathmandu", "2026-11-27T12:00:00Z", "2026-11-30T03:15:00Z"),
            // Whatever offset `now` is written in.
            (
                "Asia/Kathmandu",
                "2026-11-30T09:00:00+05:45",
                "2026-11-30T03:15:00Z",
            ),
            ("UTC", "2026-11-28T00:00:00Z", "2026-11-30T09:00:00Z"),
        ] {
            assert_eq!(opening(&office(zone), now), opens, "{zone} {now}");
        }
    }

    #[test]
    fn times_that_the_clock_skips_or_shows_twice() {
        let daily = |zone: &str, text: &str| Calendar {
            weekly: every_day(text),
            ..office(zone)
        };
        for (zone, hours, now, opens) in [
            // 02:00 to 03:00 is skipped: what begins at 02:30 begins at 03:00.
            (
                "Europe/Berlin",
                "02:30-05:00",
                "2026-03-29T00:00:00Z",
                "2026-03-29T01:00:00Z",
            ),
            // All of it is skipped: the next day.
            (
                "Europe/Berlin",
                "02:15-02:45",
                "2026-03-29T00:00:00Z",
                "2026-03-30T00:15:00Z",
            ),
            // 02:00 to 03:00 comes twice, and is open twice.
            (
                "Europe/Berlin",
                "02:15-02:45",
                "2026-10-25T00:00:00Z",
                "2026-10-25T00:15:00Z",
            ),
            (
                "Europe/Berlin",
                "02:15-02:45",
                "2026-10-25T00:45:00Z",
                "2026-10-25T01:15:00Z",
            ),
            // Closed at 02:30, open again when the clock is set back to 02:00.
            (
                "Europe/Berlin",
                "01:30-02:30",
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
            ),
            (
                "America/New_York",
                "02:30-04:00",
                "2026-03-08T06:00:00Z",
                "2026-03-08T07:00:00Z",
            ),
            (
                "America/New_York",
                "01:15-01:45",
                "2026-11-01T05:50:00Z",
                "2026-11-01T06:15:00Z",
            ),
            // 02:00 becomes 02:30.
            (
                "Australia/Lord_Howe",
                "02:15-06:00",
                "2026-10-03T15:00:00Z",
                "2026-10-03T15:30:00Z",
            ),
            // 02:00 becomes 01:30.
            (
                "Australia/Lord_Howe",
                "01:30-01:45",
                "2026-04-04T14:50:00Z",
                "2026-04-04T15:00:00Z",
            ),
            // Midnight itself is skipped.
            (
                "America/Santiago",
                "00:00-02:00",
                "2026-09-05T22:00:00Z",
                "2026-09-06T04:00:00Z",
            ),
            // A whole day was.
            (
                "Pacific/Apia",
                "09:00-10:00",
                "2011-12-29T21:00:00Z",
                "2011-12-30T19:00:00Z",
            ),
            // 00:01 became 23:01 of the day before.
            (
                "America/St_Johns",
                "23:30-23:45",
                "2006-10-29T02:20:00Z",
                "2006-10-29T03:00:00Z",
            ),
        ] {
            assert_eq!(opening(&daily(zone, hours), now), opens, "{zone} {hours} {now}");
        }
    }

    #[test]
    fn holidays_have_their_own_hours_from_midnight_to_midnight() {
        let mut calendar = office("Europe/Berlin");
        calendar.holidays = vec![
            holiday("12-24", "09:00-12:00"),
            holiday("12-25", ""),
            holiday("2026-12-24", ""),
            holiday("02-29", ""),
        ];
        // Christmas Eve is closed in 2026 only; 2027-12-24 is a Friday.
        assert_eq!(opening(&calendar, "2026-12-23T18:00:00Z"), "2026-12-28T08:00:00Z");
        assert_eq!(opening(&calendar, "2027-12-23T18:00:00Z"), "2027-12-24T08:00:00Z");
        assert_eq!(opening(&calendar, "2027-12-24T11:00:00Z"), "2027-12-27T08:00:00Z");
        // 2028-02-29 is a Tuesday.
        assert_eq!(opening(&calendar, "2028-02-28T18:00:00Z"), "2028-03-01T08:00:00Z");

        let hours = BusinessHours::new(&calendar).unwrap();
        let eve = hours.at(at("2027-12-24T08:00:00Z"));
        assert_eq!((eve.open, eve.holiday), (true, Some("day 12-24")));
        assert_eq!(
            hours.at(at("2026-12-24T08:00:00Z")).holiday,
            Some("day 2026-12-24")
        );
        // The day is the zone's: 23:30 UTC is Christmas there.
        assert_eq!(hours.at(at("2026-12-24T23:30:00Z")).holiday, Some("day 12-25"));
        assert_eq!(hours.at(at("2026-12-26T12:00:00Z")).holiday, None);
    }

    #[test]
    fn shifts_go_over_midnight_but_not_into_a_holiday() {
        let mut night = Calendar {
            weekly: Weekly {
                friday: hours("22:00-06:00"),
                thursday: hours("22:00-06:00"),
                ..Weekly::default()
            },
            ..office("Europe/Berlin")
        };
        let open = |calendar: &Calendar, now: &str| BusinessHours::new(calendar).unwrap().is_open(at(now));
        // Saturday 05:59 and 06:00 in Berlin.
        assert!(open(&night, "2026-11-28T04:59:00Z"));
        assert!(!open(&night, "2026-11-28T05:00:00Z"));
        // Friday is Christmas: Thursday's shift ends at midnight, and Friday's never begins.
        night.holidays = vec![holiday("12-25", "")];
        assert!(open(&night, "2026-12-24T22:59:00Z"));
        assert!(!open(&night, "2026-12-24T23:00:00Z"));
        assert!(!open(&night, "2026-12-26T00:00:00Z"));
        // Its own hours may go on after it.
        night.holidays = vec![holiday("12-25", "23:00-01:00")];
        assert!(open(&night, "2026-12-25T23:59:00Z"));
        assert!(!open(&night, "2026-12-26T00:00:00Z"));
        for (text, closed) in [
            ("00:00-24:00", None),
            ("00:00-00:00", None),
            ("08:00-24:00", Some("2026-11-27T03:00:00Z")),
        ] {
            let calendar = Calendar {
                weekly: every_day(text),
                ..office("UTC")
            };
            for hour in 0..24 {
                let now = at("2026-11-27T00:00:00Z") + Duration::hours(hour);
                let hours = BusinessHours::new(&calendar).unwrap();
                assert_eq!(hours.is_open(now), closed.is_none() || hour >= 8, "{text} {hour}");
            }
        }
    }

    #[test]
    fn one_that_never_opens_is_told_at_once() {
        let closed = Calendar {
            weekly: Weekly::default(),
            ..office("America/New_York")
        };
        assert_eq!(opening(&closed, "2026-11-27T12:00:00Z"), "never");
        let once = |date: &str| Calendar {
            holidays: vec![holiday(date, "10:00-12:00")],
            ..closed.clone()
        };
        assert_eq!(
            opening(&once("2027-12-31"), "2026-11-27T12:00:00Z"),
            "2027-12-31T15:00:00Z"
        );
        assert_eq!(
            opening(&once("2028-01-02"), "2026-11-27T12:00:00Z"),
            "never",
            "402 days"
        );
        assert_eq!(
            opening(&once("11-27"), "2026-11-27T17:00:00Z"),
            "2027-11-27T15:00:00Z"
        );
        for now in [
            OffsetDateTime::UNIX_EPOCH,
            time::macros::datetime!(9999-12-31 23:59:59 UTC),
            time::macros::datetime!(-9999-01-01 0:00 UTC),
        ] {
            BusinessHours::new(&office("Pacific/Apia"))
                .unwrap()
                .next_opening(now);
            BusinessHours::new(&closed).unwrap().next_opening(now);
        }
    }

    #[test]
    fn zones_come_with_the_program() {
        for zone in [
            "Europe/Berlin",
            "europe/berlin",
            "UTC",
            "Asia/Kathmandu",
            "America/Argentina/Ushuaia",
            "Etc/GMT+5",
        ] {
            assert!(super::zone(zone).is_ok(), "{zone}");
        }
        for zone in [
            "",
            "Berlin",
            "Etc/Unknown",
            "+01:00",
            "CET-1CEST",
            "../../etc/passwd",
        ] {
            assert!(super::zone(zone).is_err(), "{zone}");
        }
    }

    /// Written a second time, as slowly as it can be thought: each day is 1440 minutes, open or not.
    fn naive_is_open(calendar: &Calendar, at: OffsetDateTime) -> bool {
        let zone = TimeZoneDatabase::bundled().get(&calendar.time_zone).unwrap();
        let zoned = Timestamp::from_second(at.unix_timestamp())
            .unwrap()
            .to_zoned(zone);
        let own = |date: Date| {
            let text = date.to_string();
            let find = |wanted: &str| calendar.holidays.iter().rfind(|h| h.date.to_string() == wanted);
            find(&text).or_else(|| find(&text[5..]))
        };
        let begun_on = |date: Date| {
            let weekly = &calendar.weekly;
            let day = match date.weekday() {
                Weekday::Monday => &weekly.monday,
                Weekday::Tuesday => &weekly.tuesday,
                Weekday::Wednesday => &weekly.wednesday,
                Weekday::Thursday => &weekly.thursday,
                Weekday::Friday => &weekly.friday,
                Weekday::Saturday => &weekly.saturday,
                Weekday::Sunday => &weekly.sunday,
            };
            let hours = own(date).map_or(day, |holiday| &holiday.hours);
            let mut minutes = [false; 2 * 1440];
            for one in hours {
                let (from, to) = (usize::from(one.from.minutes()), usize::from(one.to.minutes()));
                let range: Range<usize> = if from < to { from..to } else { from..to + 1440 };
                minutes[range].fill(true);
            }
            minutes
        };
        let (date, minute) = (zoned.date(), zoned.hour() as usize * 60 + zoned.minute() as usize);
        let before = date.yesterday().unwrap();
        begun_on(date)[minute] || (own(date).is_none() && begun_on(before)[minute + 1440])
    }

    fn any_interval() -> impl Strategy<Value = Interval> {
        let quarter = 0u16..=96;
        (quarter.clone(), quarter).prop_filter_map("a beginning before 24:00", |(from, to)| {
            let at = |quarters: u16| TimeOfDay::new(quarters / 4, quarters % 4 * 15);
            (from < 96 && from != to).then(|| Interval {
                from: at(from).unwrap(),
                to: at(to).unwrap(),
            })
        })
    }

    fn any_calendar() -> impl Strategy<Value = (Calendar, OffsetDateTime)> {
        // A few days before the clock is set, or another moment.
        let zones = prop_oneof![
            Just(("Europe/Berlin", "2026-03-28T00:00:00Z")),
            Just(("Europe/Berlin", "2026-10-24T00:00:00Z")),
            Just(("America/New_York", "2026-03-07T00:00:00Z")),
            Just(("America/New_York", "2026-10-31T00:00:00Z")),
            Just(("Australia/Lord_Howe", "2026-04-03T12:00:00Z")),
            Just(("Australia/Lord_Howe", "2026-10-02T12:00:00Z")),
            Just(("Asia/Kathmandu", "2026-12-23T12:00:00Z")),
            Just(("America/Santiago", "2026-09-05T00:00:00Z")),
            Just(("Pacific/Apia", "2011-12-28T12:00:00Z")),
            Just(("America/St_Johns", "2006-10-27T12:00:00Z")),
        ];
        let day = || prop_oneof![3 => Just(vec![]), 2 => prop::collection::vec(any_interval(), 1..3)];
        let holidays = prop::collection::vec((0i64..6, any::<bool>(), day()), 0..3);
        (zones, prop::array::uniform7(day()), holidays, 0i64..4 * 86_400).prop_map(
            |((zone, around), days, holidays, later)| {
                let around = at(around);
                let [monday, tuesday, wednesday, thursday, friday, saturday, sunday] = days;
                let holidays = holidays.into_iter().map(|(ahead, yearly, hours)| {
                    let date = (around + Duration::days(ahead)).date().to_string();
                    let date = if yearly { date[5..].to_owned() } else { date };
                    Holiday {
                        name: "x".into(),
                        date: date.try_into().unwrap(),
                        hours,
                    }
                });
                let calendar = Calendar {
                    time_zone: zone.to_owned(),
                    weekly: Weekly {
                        monday,
                        tuesday,
                        wednesday,
                        thursday,
                        friday,
                        saturday,
                        sunday,
                    },
                    holidays: holidays.collect(),
                };
                (calendar, around + Duration::seconds(later))
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// Minute by minute: until the next opening it is closed, and then it is open.
        #[test]
        fn the_next_opening_is_the_first_open_moment((calendar, now) in any_calendar()) {
            let hours = BusinessHours::new(&calendar).unwrap();
            let next = hours.next_opening(now);
            let end = next.unwrap_or(now + Duration::days(9)).min(now + Duration::days(9));
            let mut at = now;
            while at < end {
                prop_assert!(!naive_is_open(&calendar, at) && !hours.is_open(at), "open at {} before {:?}", at, next);
                // The next full minute.
                at += Duration::seconds(60 - at.unix_timestamp().rem_euclid(60));
            }
            if let Some(next) = next {
                prop_assert!(next >= now && naive_is_open(&calendar, next) && hours.is_open(next));
            }
        }

        #[test]
        fn both_ways_to_think_agree((calendar, now) in any_calendar(), later in 0i64..400 * 86_400) {
            let hours = BusinessHours::new(&calendar).unwrap();
            let at = now + Duration::seconds(later);
            prop_assert_eq!(hours.is_open(at), naive_is_open(&calendar, at));
        }
    }
}
