//! The times of a CronJob.

use std::collections::BTreeSet;

use crate::clock::Millis;

const MINUTE: Millis = 60_000;
/// A schedule is looked through so far ahead; `0 0 29 2 *` comes within eight years.
const HORIZON: Millis = 8 * 366 * 24 * 60 * MINUTE;

/// The times of a schedule, in UTC.
#[derive(Debug)]
pub struct Schedule {
    minutes: BTreeSet<i64>,
    hours: BTreeSet<i64>,
    days: BTreeSet<i64>,
    months: BTreeSet<i64>,
    weekdays: BTreeSet<i64>,
    /// Whether days of the month and of the week are both limited: then either counts.
    either: bool,
}

impl Schedule {
    /// Five fields, or `@hourly` and its like. `None`: it is no schedule.
    pub fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return None;
        };
        let mut weekdays = field(weekday, 0, 7, &WEEKDAYS)?;
        if weekdays.remove(&7) {
            weekdays.insert(0);
        }
        let all = |text: &str| text.starts_with('*') || text == "?";
        Some(Self {
            minutes: field(minute, 0, 59, &[])?,
            hours: field(hour, 0, 23, &[])?,
            days: field(day, 1, 31, &[])?,
            months: field(month, 1, 12, &MONTHS)?,
            weekdays,
            either: !all(day) && !all(weekday),
        })
    }

    /// The first time after a moment.
    pub fn next(&self, after: Millis) -> Option<Millis> {
        let mut at = after - after.rem_euclid(MINUTE) + MINUTE;
        let end = after + HORIZON;
        while at <= end {
            let time = jiff::Timestamp::from_millisecond(at).ok()?;
            let time = time.to_zoned(jiff::tz::TimeZone::UTC);
            let day = self.days.contains(&i64::from(time.day()));
            let weekday = i64::from(time.weekday().to_sunday_zero_offset());
            let weekday = self.weekdays.contains(&weekday);
            let on = if self.either {
                day || weekday
            } else {
                day && weekday
            };
            if !on || !self.months.contains(&i64::from(time.month())) {
                let whole = 24 * 60 * MINUTE;
                at = at - at.rem_euclid(whole) + whole;
            } else if !self.hours.contains(&i64::from(time.hour())) {
                let whole = 60 * MINUTE;
                at = at - at.rem_euclid(whole) + whole;
            } else if self.minutes.contains(&i64::from(time.minute())) {
                return Some(at);
            } else {
                at += MINUTE;
            }
        }
        None
    }
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// One field: `*`, `5`, `1-5`, `*/15`, `mon-fri`, and lists of these.
fn field(text: &str, from: i64, to: i64, names: &[&str]) -> Option<BTreeSet<i64>> {
    let number = |text: &str| -> Option<i64> {
        let named = names
            .iter()
            .position(|name| text.eq_ignore_ascii_case(name));
        let named = named.and_then(|at| i64::try_from(at).ok());
        let offset = if names.len() == 12 { 1 } else { 0 };
        let number = named.map(|at| at + offset).or_else(|| text.parse().ok())?;
        (from..=to).contains(&number).then_some(number)
    };
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (from, to),
            Some((first, last)) => (number(first)?, number(last)?),
            None if part.contains('/') => (number(range)?, to),
            None => (number(range)?, number(range)?),
        };
        if first > last {
            return None;
        }
        all.extend((first..=last).step_by(step));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn next(schedule: &str, after: &str) -> String {
        let schedule = Schedule::parse(schedule).expect("a schedule");
        let at = schedule.next(clock::parse(after).expect("a time"));
        clock::text(at.expect("it comes"))
    }

    #[test]
    fn the_next_time_is_after_and_not_at_a_moment() {
        let noon = "2026-11-30T12:00:00Z"; // a Monday
        for (schedule, expected) in [
            ("0 12 * * *", "2026-12-01T12:00:00Z"),
            ("*/15 * * * *", "2026-11-30T12:15:00Z"),
            ("5,10 12-13 * * *", "2026-11-30T12:05:00Z"),
            ("0 0 * * sun", "2026-12-06T00:00:00Z"),
            ("0 0 * * 7", "2026-12-06T00:00:00Z"),
            ("0 0 13 * 5", "2026-12-04T00:00:00Z"), // either, where both are said
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("@monthly", "2026-12-01T00:00:00Z"),
            ("0 8 * jan *", "2027-01-01T08:00:00Z"),
        ] {
            assert_eq!(next(schedule, noon), expected, "{schedule}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_none() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "x * * * *",
        ] {
            assert!(Schedule::parse(text).is_none(), "{text}");
        }
    }
}
