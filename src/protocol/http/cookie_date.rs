//! When a cookie ends: the dates of RFC 6265, section 5.1.1, which takes nearly every form that a server writes.

/// Seconds since 1970 of the date in `text`; `None` for what is no date.
///
/// The text falls into tokens; the first that looks like a time, a day, a month and a year, in this order of trying, is each.
pub(super) fn seconds_of(text: &[u8]) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(|&byte| is_delimiter(byte)).filter(|token| !token.is_empty()) {
        if time.is_none()
            && let Some(found) = time_of(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = number(token, 1..=2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(token, 2..=4)
        {
            year = Some(found);
        }
    }
    let ([hour, minute, second], day, month, year) = (time?, day?, month?, year?);
    let year = match year {
        70..=99 => year + 1900,
        0..=69 => year + 2000,
        _ => year,
    };
    let is_date = (1..=days_of(month, year)).contains(&day) && year >= 1601 && hour <= 23 && minute <= 59 && second <= 59;
    is_date.then(|| days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, 0x09 | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

/// A number of so many digits at the token's beginning, and no further digit behind it.
fn number(token: &[u8], digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let count = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits.contains(&count).then(|| token[..count].iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

/// `hh:mm:ss`, each of one or two digits, and anything but a digit behind them.
fn time_of(token: &[u8]) -> Option<[i64; 3]> {
    let mut fields = token.splitn(3, |&byte| byte == b':');
    let mut whole = || {
        let field = fields.next()?;
        (field.len() <= 2).then(|| number(field, 1..=2)).flatten().filter(|_| field.iter().all(u8::is_ascii_digit))
    };
    let (hour, minute) = (whole()?, whole()?);
    Some([hour, minute, number(fields.next()?, 1..=2)?])
}

/// From 1, by the first three letters.
fn month_of(token: &[u8]) -> Option<i64> {
    let name = token.get(..3)?.to_ascii_lowercase();
    MONTHS.iter().zip(1..).find(|(month, _)| month.as_bytes() == name).map(|(_, number)| number)
}

fn days_of(month: i64, year: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Howard Hinnant's arithmetic of the Gregorian calendar: years begin with March, so that the leap day is their last.
pub(super) fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issue_15_dates_of_every_form_are_read() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 1 Jan 1970 0:0:0 +0000", Some(0)),
            ("\"Thu, 01-Jan-1970 00:00:01 GMT\"", Some(1)),
            ("Thu, 01 January 1970 00:00:00 UTC", Some(0)),
            ("Mon, 10-Dec-2007 17:02:24 GMT", Some(1_197_306_144)),
            ("Wed, 09 Dec 2009 16:27:23 GMT", Some(1_260_376_043)),
            ("Thursday, 01-Jan-1970 00:00:00 GMT", Some(0)),
            ("Fri, 14 Mar 2008 13:13:23.5 GMT", Some(1_205_500_403)),
            ("Tue, 18 Oct 2011 07:42:42.123 GMT", Some(1_318_923_762)),
            ("18 Oct 2011 07:42:42 GMT", Some(1_318_923_762)),
            ("8 Oct 2011 7:42:42 GMT", Some(1_318_059_762)),
            ("8 Oct 2011 7:2:42 GMT", Some(1_318_057_362)),
            ("Oct 18 2011 07:42:42 GMT", Some(1_318_923_762)),
            ("2011 18 Oct 07:42:42", Some(1_318_923_762)),
            ("Tue Oct 18 2011 07:05:03 GMT+0000 (GMT)", Some(1_318_921_503)),
            ("09 Jun 2021 10:18:14 GMT", Some(1_623_233_894)),
            ("01 Jan 69 00:00:00", Some(3_124_224_000)),
            ("01 Jan 70 00:00:00", Some(0)),
            ("29 Feb 2000 00:00:00", Some(951_782_400)),
            ("01 Jan 1601 00:00:00", Some(-11_644_473_600)),
            ("31 Dec 9999 23:59:59", Some(253_402_300_799)),
            ("99 Jix 3038 48:86:72 ZMT", None),
            ("00 Jan 1970 00:00:00", None),
            ("32 Jan 1970 00:00:00", None),
            ("30 Feb 2011 00:00:00", None),
            ("29 Feb 1900 00:00:00", None),
            ("01 Jan 1600 00:00:00", None),
            ("18 Oct 2011 24:00:00", None),
            ("18 Oct 2011 07:60:00", None),
            ("18 Oct 2011 07:00:60", None),
            ("18 Oct 02010 07:42:42", None),
            ("18 Oct 2011 007:42:42", None),
            ("18 Oct 2011", None),
            ("Oct 2011 07:42:42", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(seconds_of(text.as_bytes()), seconds, "{text}");
        }
    }
}
