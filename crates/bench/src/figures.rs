//! Figures from several rounds: medians, ranges, ratios, and how they are written.

/// What was measured, a value a round, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures(pub Vec<f64>);

impl Figures {
    /// The middle one, or the mean of the two in the middle; `None` of none.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(sorted[middle]),
            _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
        }
    }

    /// The least.
    pub fn least(&self) -> Option<f64> {
        self.0.iter().copied().min_by(f64::total_cmp)
    }

    /// The most.
    pub fn most(&self) -> Option<f64> {
        self.0.iter().copied().max_by(f64::total_cmp)
    }

    /// Median, and range where there is one, each written by `write`.
    pub fn written(&self, write: impl Fn(f64) -> String) -> String {
        match (self.median(), self.least(), self.most()) {
            (Some(median), Some(least), Some(most)) if self.0.len() > 1 => {
                format!("{} ({}–{})", write(median), write(least), write(most))
            }
            (Some(median), ..) => write(median),
            _ => UNKNOWN.to_owned(),
        }
    }
}

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// Of values of which one may be unknown: then all are.
impl FromIterator<Option<f64>> for Figures {
    fn from_iter<I: IntoIterator<Item = Option<f64>>>(values: I) -> Self {
        Self(values.into_iter().collect::<Option<_>>().unwrap_or_default())
    }
}

/// How a figure is written that is not known.
pub const UNKNOWN: &str = "unknown";

/// How many times as quick one is as another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Of the medians.
    pub of_medians: f64,
    /// The least of any round.
    pub least: f64,
    /// The most of any round.
    pub most: f64,
}

impl Ratio {
    /// `rival` over `ours`, round by round; `None` where one was not measured.
    pub fn of(rival: &Figures, ours: &Figures) -> Option<Self> {
        let rounds: Figures = rival.0.iter().zip(&ours.0).map(|(rival, ours)| rival / ours).collect();
        Some(Self { of_medians: rival.median()? / ours.median()?, least: rounds.least()?, most: rounds.most()? })
    }

    /// `3.1 × (2.9–3.4)`.
    pub fn written(ratio: Option<Self>) -> String {
        match ratio {
            None => UNKNOWN.to_owned(),
            Some(Self { of_medians, least, most }) if least == most => format!("{} ×", short(of_medians)),
            Some(Self { of_medians, least, most }) => {
                format!("{} × ({}–{})", short(of_medians), short(least), short(most))
            }
        }
    }
}

/// Three digits that count, and no more.
pub fn short(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// `12.3 s`.
pub fn seconds(value: f64) -> String {
    format!("{} s", short(value))
}

/// `12.3 ms`.
pub fn milliseconds(value: f64) -> String {
    format!("{} ms", short(value * 1000.0))
}

/// `12.3 MB` (10⁶ bytes), or kB where that reads better.
pub fn bytes(value: f64) -> String {
    if value < 100_000.0 { format!("{} kB", short(value / 1e3)) } else { format!("{} MB", short(value / 1e6)) }
}

/// `12.3 MiB`.
pub fn mebibytes(value: f64) -> String {
    format!("{} MiB", short(value / 1_048_576.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios_are_those_of_the_rounds() {
        let rival = Figures(vec![9.0, 30.0, 10.0]);
        let ours = Figures(vec![3.0, 2.0, 5.0]);
        assert_eq!((rival.median(), ours.median()), (Some(10.0), Some(3.0)));
        let ratio = Ratio::of(&rival, &ours).expect("measured");
        assert_eq!((ratio.least, ratio.most), (2.0, 15.0));
        assert_eq!(Ratio::written(Some(ratio)), "3.33 × (2.00–15.0)");
        assert_eq!(Ratio::of(&Figures::default(), &ours), None);
        assert_eq!(Figures(vec![1.0, 2.0]).median(), Some(1.5));
    }

    #[test]
    fn one_unknown_makes_all_unknown() {
        assert_eq!([Some(1.0), None].into_iter().collect::<Figures>(), Figures::default());
        assert_eq!(Figures::default().written(seconds), "unknown");
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([0.0123, 1.2345, 12.345, 123.45].map(short), ["0.012", "1.23", "12.3", "123"]);
        assert_eq!(Figures(vec![1.0, 2.0, 3.0]).written(seconds), "2.00 s (1.00 s–3.00 s)");
    }
}
