//! Numbers, as they are told: short for the eye, exact in what the element says of itself.

use std::time::{Duration, UNIX_EPOCH};

use bytesize::ByteSize;
use humantime_serde::re::humantime::format_rfc3339_seconds;
use maud::{Markup, html};
use serde::Serialize;

use crate::admin::overview;
use crate::session::Quantiles;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// What is not known, or not measured.
const NOTHING: &str = "–";

/// How many there are.
pub(super) fn count(number: impl TryInto<u64>) -> Markup {
    let number = number.try_into().unwrap_or(u64::MAX);
    html! { data value=(number) { (grouped(number)) } }
}

/// So many bytes.
pub(super) fn bytes(number: u64) -> Markup {
    html! { data value=(number) title=(format!("{number} bytes")) { (ByteSize::b(number)) } }
}

/// How long something lasts that began so many seconds before `now`, which is in seconds since 1970.
pub(super) fn since(now: u64, seconds: f64) -> Markup {
    let begun = stamp(now.saturating_sub(seconds as u64));
    html! { time datetime=(begun) title=(format!("since {begun}")) { (long(seconds as u64)) } }
}

/// The same of what happens over and over, so that nobody is told each second that nothing has.
pub(super) fn quiet(now: u64, seconds: f64) -> Markup {
    if seconds < MINUTE as f64 {
        html! { "under 1 min" }
    } else {
        since(now, seconds)
    }
}

/// A moment, in seconds since 1970, with its day if that is not today's.
pub(super) fn moment(now: u64, at: u64) -> Markup {
    let whole = stamp(at);
    let (day, time) = whole.split_once('T').unwrap_or(("", &whole));
    let time = time.trim_end_matches('Z');
    let is_today = now / DAY == at / DAY;
    html! {
        time datetime=(whole) title=(whole) {
            @if !is_today { (day) " " }
            (time)
        }
    }
}

/// How long half of something took at most, and all but one in a hundred of it.
pub(super) fn quantiles(of: Quantiles) -> [Markup; 2] {
    [("half", of.p50), ("99 in 100", of.p99)].map(|(share, bound)| match bound {
        Some(seconds) => html! {
            data value=(seconds) title=(format!("{share} took {seconds} s at most")) { (took(seconds)) }
        },
        None => nothing(),
    })
}

/// What is not known.
pub(super) fn nothing() -> Markup {
    html! { span.nothing title="not known" { (NOTHING) } }
}

/// The word that programs read for something, as people do.
pub(super) fn word(of: &impl Serialize) -> String {
    overview::word(of).unwrap_or_else(|| NOTHING.to_owned()).replace('_', " ")
}

/// A length of time with its two largest units.
pub(super) fn long(seconds: u64) -> String {
    let two = |large: u64, unit: &str, rest: u64, small: &str| match rest {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {rest} {small}"),
    };
    match seconds {
        DAY.. => two(seconds / DAY, "d", seconds % DAY / HOUR, "h"),
        HOUR.. => two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "min"),
        MINUTE.. => format!("{} min", seconds / MINUTE),
        _ => format!("{seconds} s"),
    }
}

fn took(seconds: f64) -> String {
    let digits = |number: f64| if number < 10.0 { 1 } else { 0 };
    let (number, unit) = match seconds {
        ..0.001 => (seconds * 1e6, "µs"),
        ..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    format!("{number:.*} {unit}", digits(number))
}

/// In groups of three, with narrow spaces that do not break.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (position, digit) in digits.char_indices() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) && digits.len() > 4 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn stamp(at: u64) -> String {
    // What the format cannot write is no time that a clock shows.
    const LAST: u64 = 253_402_300_799;
    format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at.min(LAST))).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_exact_value() {
        assert_eq!(count(1234u64).into_string(), "<data value=\"1234\">1234</data>");
        assert!(count(1_234_567u64).into_string().contains("1\u{202f}234\u{202f}567"));
        for (number, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 20, "1.0 MiB")] {
            let markup = bytes(number).into_string();
            assert!(markup.contains(text) && markup.contains(&format!("value=\"{number}\"")), "{markup}");
        }
    }

    #[test]
    fn times_are_told_in_the_units_that_matter() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (61, "1 min"), (3661, "1 h 1 min"), (7200, "2 h"), (90_000, "1 d 1 h")]
        {
            assert_eq!(long(seconds), text);
        }
        for (seconds, text) in [(0.000_25, "250 µs"), (0.0025, "2.5 ms"), (0.25, "250 ms"), (2.0, "2.0 s")] {
            assert_eq!(took(seconds), text);
        }
        let now = 1_790_000_000;
        assert!(moment(now, now - 5).into_string().contains(">14:"));
        assert!(moment(now, now - DAY).into_string().contains(">2026-09-20 "));
    }
}
