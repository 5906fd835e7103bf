//! Indicators: what the plan wants, as sums of measures.

use std::collections::BTreeMap;

use super::expression::Variables;

/// A term of a numerator or denominator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The measure.
    pub measure: String,
    /// Multiplied by this; -1 subtracts.
    pub times: i64,
    /// Of a measure kept apart by date: which dates count, against the statistics date.
    pub window: Window,
}

/// Which parts count of a measure that is kept apart by a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// All of them.
    All,
    /// Up to and including the statistics date.
    Until,
    /// Before the statistics date.
    Before,
    /// Not before the statistics date, or without a date.
    NotBefore,
    /// Not earlier than this many months before the statistics date.
    SinceMonths(u8),
    /// Those with one of these codes.
    Codes(Vec<String>),
    /// Dates of birth of whoever is that old at the statistics date, in completed years.
    Age {
        /// At least; none without a lower bound.
        from: Option<i16>,
        /// At most; none without an upper bound.
        to: Option<i16>,
    },
}

/// Where a target comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The plan states it.
    Plan,
    /// The plan's wording demands it without a number.
    Implied,
    /// There is none: it is watched.
    None,
}

/// An indicator.
#[derive(Debug, Clone)]
pub struct Indicator {
    /// `I-12`.
    pub id: String,
    /// `standalone_formation_rate`.
    pub name: String,
    /// Title in Chinese.
    pub title: String,
    /// Sum of these.
    pub numerator: Vec<Term>,
    /// Over the sum of these; a plain count without.
    pub denominator: Vec<Term>,
    /// The terms are a sum and a count of this year (numerator) and of the year before (denominator); the figure is how
    /// much the mean has grown.
    pub growth_of_means: bool,
    /// Added to the denominator, for example a quota.
    pub denominator_constant: Option<i64>,
    /// Variables of its measures, for example the round.
    pub variables: BTreeMap<String, String>,
    /// The least share in percent, if there is a target.
    pub target_percent: Option<i64>,
    /// The target is growth: the numerator has to be more than nothing.
    pub target_growth: bool,
    /// Where the target comes from.
    pub basis: Basis,
    /// Month-day by which, or the name of a county parameter that says it.
    pub due: Option<String>,
    /// Returns that print it.
    pub returns: Vec<String>,
}

/// An indicator's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Figure {
    /// The numerator.
    pub numerator: i64,
    /// The denominator; none for counts.
    pub denominator: Option<i64>,
    /// Both are so many times what they stand for: money is counted in fen.
    #[serde(skip)]
    pub scale: i64,
}

impl Figure {
    /// As printed: `93.8%` rounded half up on the exact ratio, `—` for 0/0 and any other zero denominator.
    pub fn printed(&self) -> String {
        let Some(under) = self.denominator else { return self.numerator.to_string() };
        if under == 0 {
            return "—".to_owned();
        }
        let (over, under) = (i128::from(self.numerator) * 1000, i128::from(under));
        let tenths = (2 * over + under.signum() * over.signum() * under) / (2 * under);
        let sign = if tenths < 0 { "-" } else { "" };
        format!("{sign}{}.{}%", tenths.abs() / 10, tenths.abs() % 10)
    }

    /// Whether a share of at least `percent` is reached: exactly, so that 1999 of 2000 is not 100 %.
    /// Without a denominator there is nothing to reach.
    pub fn reaches(&self, percent: i64) -> Option<bool> {
        let under = self.denominator.filter(|under| *under > 0)?;
        Some(i128::from(self.numerator) * 100 >= i128::from(percent) * i128::from(under))
    }
}

impl Indicator {
    /// Its figures, from `sum`: what a term's measure comes to over the wanted units, under [`Indicator::bound`].
    pub fn figure(&self, mut sum: impl FnMut(&Term) -> i64) -> Figure {
        if let (true, [sum_now, count_now], [sum_then, count_then]) =
            (self.growth_of_means, self.numerator.as_slice(), self.denominator.as_slice())
        {
            let mut value = |term: &Term| term.times * sum(term);
            let (sum_now, count_now, sum_then, count_then) =
                (value(sum_now), value(count_now), value(sum_then), value(count_then));
            // (a/b − c/d) / (c/d), without leaving whole numbers.
            let then = sum_then.saturating_mul(count_now);
            let numerator = sum_now.saturating_mul(count_then).saturating_sub(then);
            return Figure { numerator, denominator: Some(then), scale: count_now.saturating_mul(count_then).max(1) };
        }
        let mut total = |terms: &[Term]| terms.iter().map(|term| term.times * sum(term)).sum();
        let numerator = total(&self.numerator);
        let constant = self.denominator_constant;
        let has_denominator = constant.is_some() || !self.denominator.is_empty();
        let denominator = has_denominator.then(|| total(&self.denominator) + constant.unwrap_or(0));
        Figure { numerator, denominator, scale: 1 }
    }

    /// The variables as expressions know them.
    pub fn bound(&self) -> Variables {
        self.variables.iter().map(|(name, code)| (name.clone(), crate::Value::text(code))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_round_half_up_and_targets_are_exact() {
        for (numerator, denominator, printed, reached) in [
            (15, 16, "93.8%", Some(false)),
            (49, 400, "12.3%", Some(false)),
            (2, 3, "66.7%", Some(false)),
            (1, 3, "33.3%", Some(false)),
            (1, 8, "12.5%", Some(false)),
            (0, 5, "0.0%", Some(false)),
            (0, 0, "—", None),
            (1999, 2000, "100.0%", Some(false)),
            (2500, 2501, "100.0%", Some(false)),
            (7, 7, "100.0%", Some(true)),
            (-1, 8, "-12.5%", Some(false)),
        ] {
            let figure = Figure { numerator, denominator: Some(denominator), scale: 1 };
            assert_eq!(figure.printed(), printed, "{numerator}/{denominator}");
            assert_eq!(figure.reaches(100), reached, "{numerator}/{denominator}");
        }
        assert_eq!(Figure { numerator: 12, denominator: None, scale: 1 }.printed(), "12");
    }
}
