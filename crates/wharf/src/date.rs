//! The one form in which HTTP writes a moment: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7, IMF-fixdate).

use std::time::{SystemTime, UNIX_EPOCH};

/// `time` as an IMF-fixdate; nothing before 1970, and nothing after 9999, which has no four digits.
pub(crate) fn imf_fixdate(time: SystemTime) -> Option<String> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    // 1 January 1970 was a Thursday.
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][usize::try_from(days % 7).ok()?];

    // The calendar repeats every 400 years, so that the loop runs over less than 400 of them.
    let mut year = 1970 + 400 * (days / DAYS_IN_400_YEARS);
    let mut day = days % DAYS_IN_400_YEARS;
    while day >= days_in_year(year) {
        day -= days_in_year(year);
        year += 1;
    }
    if year > 9999 {
        return None;
    }

    let mut month = 0;
    while day >= days_in_month(month, year) {
        day -= days_in_month(month, year);
        month += 1;
    }

    Some(format!(
        "{weekday}, {:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        day + 1,
        MONTHS[month],
        second_of_day / 3600,
        second_of_day / 60 % 60,
        second_of_day % 60,
    ))
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_in_month(month: usize, year: u64) -> u64 {
    let february_29 = u64::from(month == 1 && is_leap(year));
    [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month] + february_29
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const DAYS_IN_400_YEARS: u64 = 400 * 365 + 97;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(seconds: u64) -> Option<String> {
        imf_fixdate(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn moments_are_written_as_imf_fixdate() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (13_569_465_600, "Sat, 01 Jan 2400 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(written(seconds).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_moment_that_has_no_such_form_is_none() {
        assert_eq!(written(253_402_300_800), None);
        assert_eq!(imf_fixdate(UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
