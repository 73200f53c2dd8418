//! Medians and their spread.

/// The values of one thing, a round each.
#[derive(Clone, Debug)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn new(values: &[f64]) -> Self {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// Not a number where there are no values.
    pub(crate) fn median(&self) -> f64 {
        match self.0.len() {
            0 => f64::NAN,
            len if len % 2 == 1 => self.0[len / 2],
            len => f64::midpoint(self.0[len / 2 - 1], self.0[len / 2]),
        }
    }

    pub(crate) fn lowest(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn highest(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }
}

/// What each round's values are to each other: a slow minute of the machine hits both, so that it is not in their ratio.
pub(crate) fn ratios(of: &[f64], to: &[f64]) -> Sample {
    let ratios: Vec<f64> = of.iter().zip(to).map(|(of, to)| of / to).collect();
    Sample::new(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_ratios() {
        let sample = ratios(&[2.0, 30.0, 3.0], &[2.0, 20.0, 1.0]);
        assert!((sample.median() - 1.5).abs() < 1e-9);
        assert!((sample.lowest() - 1.0).abs() < 1e-9 && (sample.highest() - 3.0).abs() < 1e-9);
    }
}
