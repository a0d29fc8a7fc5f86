//! Moments as microseconds since 1970: exports differ in the digits of a second, and BigQuery keeps six.

use jiff::Timestamp;
use jiff::civil::Date;

/// Microseconds since 1970, in UTC.
pub type Micros = i64;

/// A second.
pub const SECOND: Micros = 1_000_000;
/// A minute.
pub const MINUTE: Micros = 60 * SECOND;
/// A day.
pub const DAY: Micros = 24 * 60 * MINUTE;

/// Reads `2026-11-05T03:12:44.123456789Z`, BigQuery's `2026-11-05 03:12:44.123456 UTC` or its seconds since
/// 1970. More than six digits of a second are cut off.
pub fn parse(text: &str) -> Option<Micros> {
    let b = text.as_bytes();
    if b.len() < 19 || b[4] != b'-' || !matches!(b[10], b'T' | b't' | b' ') {
        return seconds(text);
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        b[from..to].iter().try_fold(0, |n, c| {
            c.is_ascii_digit().then(|| n * 10 + i64::from(c - b'0'))
        })
    };
    if b[7] != b'-' || b[13] != b':' || b[16] != b':' {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (mut at, mut micros, mut unit) = (19, 0, SECOND);
    if b.get(at) == Some(&b'.') {
        at += 1;
        while let Some(digit) = b.get(at).filter(|c| c.is_ascii_digit()) {
            unit /= 10;
            micros += i64::from(digit - b'0') * unit;
            at += 1;
        }
    }
    let zone = match text[at..].trim() {
        "" | "Z" | "z" | "UTC" => 0,
        zone => offset(zone)?,
    };
    let clock = (hour * 60 + minute) * 60 + second - zone;
    Some((days(year, month, day) * 86_400 + clock) * SECOND + micros)
}

/// Days since 1970 of a date in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `+01:00` in seconds.
fn offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let hours: i64 = hours.parse().ok().filter(|h| *h < 24)?;
    let minutes: i64 = minutes.parse().ok().filter(|m| *m < 60)?;
    Some(sign * (hours * 60 + minutes) * 60)
}

/// `1762312364.123456` or `1.762312364123456E9`.
fn seconds(text: &str) -> Option<Micros> {
    let seconds: f64 = text.parse().ok()?;
    // Beyond these a double has no microseconds, and logs have no entries.
    ((0.0..1e11).contains(&seconds)).then_some((seconds * 1e6).round() as Micros)
}

/// The day, as a number since 1970.
pub fn day_of(at: Micros) -> i64 {
    at.div_euclid(DAY)
}

/// `2026-11-05 03:12 UTC`.
pub fn shown(at: Micros) -> String {
    match Timestamp::from_microsecond(at) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// `2026-11-05T03:12:44.123456Z`.
pub fn rfc3339(at: Micros) -> String {
    match Timestamp::from_microsecond(at) {
        Ok(at) => at.to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// `2026-11-05` of a day's number.
pub fn date(day: i64) -> String {
    shown(day.saturating_mul(DAY))
        .split(' ')
        .next()
        .unwrap_or("?")
        .to_owned()
}

/// The number of `2026-11-05`.
pub fn day_from(date: &str) -> Option<i64> {
    let date: Date = date.parse().ok()?;
    Some(days(
        i64::from(date.year()),
        i64::from(date.month()),
        i64::from(date.day()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_is_one_number_however_it_is_spelt() {
        let at = parse("2026-11-05T03:12:44.123456Z").expect("valid");
        for text in [
            "2026-11-05T03:12:44.123456789Z",
            "2026-11-05 03:12:44.123456 UTC",
            "2026-11-05T04:12:44.123456+01:00",
            "2026-11-05T03:12:44.123456",
        ] {
            assert_eq!(parse(text), Some(at), "{text}");
        }
        let seconds = format!("{}.123456", at / SECOND);
        assert_eq!(parse(&seconds), Some(at));
        for text in [
            "",
            "today",
            "2026-13-05T03:12:44Z",
            "2026-11-05T03:12:44+xx",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for text in ["1970-01-01", "2024-02-29", "2026-11-05", "2100-03-01"] {
            let day = day_from(text).expect("a date");
            assert_eq!(date(day), text);
            let moment = parse(&format!("{text}T23:59:59Z")).expect("a moment");
            assert_eq!(day_of(moment), day);
            let theirs: Timestamp = format!("{text}T23:59:59Z").parse().expect("a moment");
            assert_eq!(theirs.as_microsecond(), moment);
        }
    }
}
