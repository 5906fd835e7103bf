//! What a value says about something else.

use serde::Serialize;

use crate::{checks, value::Value};

/// What can be asked of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    /// Birth date in an identity number.
    BirthDate,
    /// Sex in an identity number.
    Sex,
    /// The division code of the township of a division code.
    Township,
    /// Village of a division code: its last three digits.
    Village,
    /// The month of a date; of a year, the year.
    Month,
    /// Whether a text tells an identity number, a telephone number or a home address.
    Private,
}

impl Part {
    /// Their names, in the order of the variants.
    pub(super) const NAMES: [&str; 6] = ["birth_date", "sex", "township", "village", "month", "private"];
    const ALL: [Part; 6] = [Part::BirthDate, Part::Sex, Part::Township, Part::Village, Part::Month, Part::Private];

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().position(|known| *known == name).map(|index| Self::ALL[index])
    }

    pub(super) fn of(self, text: &str) -> Option<Value> {
        let holder = || checks::holder(&checks::id_card(text).ok()?);
        match self {
            Part::BirthDate => holder().map(|holder| Value::Text(holder.birth_date)),
            Part::Sex => holder().map(|holder| Value::text(holder.sex)),
            Part::Township => text.get(..9).map(|township| Value::Text(format!("{township}000"))),
            Part::Village => text.get(9..12).map(Value::text),
            Part::Month => Some(Value::text(text.get(..7).unwrap_or(text))),
            Part::Private => Some(Value::Bool(checks::tells_private(text))),
        }
    }
}
