//! When an event is told again that was not taken, and what a receiver's answer means. Pure: time and chance are arguments.

use ccm_db::Then;
use ccm_egress::{CallFailed, Said};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc2822};

/// How long after an attempt the next one comes, as Standard Webhooks recommends; after the last one it is over.
const WAITS: [Duration; 9] = [
    Duration::seconds(5),
    Duration::minutes(5),
    Duration::minutes(30),
    Duration::hours(2),
    Duration::hours(5),
    Duration::hours(10),
    Duration::hours(14),
    Duration::hours(20),
    Duration::hours(24),
];

/// What a receiver asks for beyond this is not heeded.
const LONGEST_PAUSE: Duration = Duration::hours(24);

/// Status of a receiver that is there no more.
const GONE: u16 = 410;
const TOO_MANY: u16 = 429;
const UNAVAILABLE: u16 = 503;

/// What becomes of an event after its `made`th attempt (1 the first) came to `said` at `now`. `chance` spreads what failed at the same
/// moment: by a tenth of the wait at most.
pub fn then(said: &Result<Said, CallFailed>, made: u32, now: OffsetDateTime, chance: u64) -> Then {
    let asked = match said {
        Ok(said) if (200..300).contains(&said.status) => return Then::Delivered,
        Ok(said) if said.status == GONE => return Then::Gone,
        Ok(said) if [TOO_MANY, UNAVAILABLE].contains(&said.status) => retry_after(said, now),
        Ok(_) | Err(_) => None,
    };
    let pause = asked.map(|wait| now + wait);
    let Some(wait) = made.checked_sub(1).and_then(|n| WAITS.get(n as usize)) else {
        return Then::Failed;
    };
    let spread = wait.whole_milliseconds() / 10 * i128::from(chance % 1000) / 1000;
    let at = now + *wait + Duration::milliseconds(i64::try_from(spread).unwrap_or(0));
    Then::Again {
        at: pause.map_or(at, |pause| at.max(pause)),
        pause,
    }
}

/// Seconds, or a moment (RFC 9110, 10.2.3).
fn retry_after(said: &Said, now: OffsetDateTime) -> Option<Duration> {
    let raw = said.retry_after.as_deref()?.trim();
    let wait = match raw.parse::<u32>() {
        Ok(seconds) => Duration::seconds(seconds.into()),
        Err(_) => OffsetDateTime::parse(raw, &Rfc2822).ok()? - now,
    };
    Some(wait.min(LONGEST_PAUSE)).filter(|wait| wait.is_positive())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-30 12:00 UTC);

    fn said(status: u16, retry_after: Option<&str>) -> Result<Said, CallFailed> {
        Ok(Said {
            status,
            retry_after: retry_after.map(str::to_owned),
            body: Vec::new(),
        })
    }

    fn wait(then: Then) -> Option<Duration> {
        match then {
            Then::Again { at, .. } => Some(at - NOW),
            _ => None,
        }
    }

    #[test]
    fn it_is_tried_ten_times_as_the_standard_recommends() {
        let hours: Vec<_> = (1..=10)
            .map(|made| wait(then(&said(500, None), made, NOW, 0)))
            .collect();
        let mut expected: Vec<_> = WAITS.iter().copied().map(Some).collect();
        expected.push(None);
        assert_eq!(hours, expected);
        assert_eq!(then(&said(500, None), 10, NOW, 0), Then::Failed);
        assert_eq!(then(&Err(CallFailed::Connect), 10, NOW, 0), Then::Failed);
    }

    #[test]
    fn chance_spreads_by_a_tenth_at_most() {
        for chance in [0, 1, 500, 999, u64::MAX] {
            let wait = wait(then(&Err(CallFailed::Broken), 2, NOW, chance)).unwrap();
            assert!(
                (Duration::minutes(5)..Duration::seconds(330)).contains(&wait),
                "{wait}"
            );
        }
    }

    #[test]
    fn answers_mean_what_the_standard_says() {
        for status in [200, 201, 204, 299] {
            assert_eq!(then(&said(status, None), 1, NOW, 0), Then::Delivered);
        }
        assert_eq!(then(&said(410, None), 1, NOW, 0), Then::Gone);
        for status in [100, 400, 401, 404, 422, 500] {
            assert_eq!(
                wait(then(&said(status, Some("90")), 1, NOW, 0)),
                Some(Duration::seconds(5)),
                "{status}"
            );
        }
    }

    #[test]
    fn a_receiver_that_asks_for_a_pause_gets_one() {
        let moment = "Mon, 30 Nov 2026 12:02:00 GMT";
        for (header, waited) in [
            (Some("90"), 90),
            (Some(moment), 120),
            (Some("1"), 5),
            (Some("9999999"), 86_400),
            (Some("-3"), 5),
            (Some("Mon, 30 Nov 2026 11:00:00 GMT"), 5),
            (Some("soon"), 5),
            (None, 5),
        ] {
            for status in [429, 503] {
                let then = then(&said(status, header), 1, NOW, 0);
                assert_eq!(wait(then), Some(Duration::seconds(waited)), "{header:?}");
            }
        }
        let Then::Again { pause, .. } = then(&said(503, Some("1")), 1, NOW, 0) else {
            panic!("tried again")
        };
        assert_eq!(pause, Some(NOW + Duration::SECOND));
    }
}
