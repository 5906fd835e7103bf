//! The one place where the program reads the clock and draws randomness; everything else takes them as arguments.

use rand::Rng;

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "this is the module that may")]
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Today in China Standard Time, which all of the programme's dates are in.
pub fn today() -> jiff::civil::Date {
    local_date(now_ms())
}

/// The date in China Standard Time (+08:00, no daylight saving) of an instant.
pub fn local_date(ms: i64) -> jiff::civil::Date {
    local(ms).date()
}

/// Date and time in China Standard Time of an instant.
pub fn local(ms: i64) -> jiff::civil::DateTime {
    let instant = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    jiff::tz::Offset::constant(8).to_datetime(instant)
}

/// The instant, in milliseconds since 1970, of a date and time in China Standard Time.
pub fn of_local(time: jiff::civil::DateTime) -> i64 {
    jiff::tz::Offset::constant(8).to_timestamp(time).map_or(i64::MAX, jiff::Timestamp::as_millisecond)
}

/// Fresh random bytes.
#[expect(clippy::disallowed_methods, reason = "this is the module that may")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}
