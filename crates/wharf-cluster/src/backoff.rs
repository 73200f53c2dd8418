//! How long to wait before the next try.

use std::time::Duration;

/// Twice as long each time, up to a limit, and each a random part shorter.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    limit: Duration,
}

const FIRST: Duration = Duration::from_millis(50);

impl Backoff {
    pub(super) fn new(limit: Duration) -> Self {
        Self { next: FIRST.min(limit), limit }
    }

    /// It succeeded.
    pub(super) fn reset(&mut self) {
        self.next = FIRST.min(self.limit);
    }

    /// How long to wait now.
    pub(super) fn next(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(self.limit);
        delay.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_longer_up_to_the_limit_until_it_succeeds() {
        let mut backoff = Backoff::new(Duration::from_millis(300));
        for longest in [50, 100, 200, 300, 300] {
            let longest = Duration::from_millis(longest);
            let delay = backoff.next();
            assert!(delay <= longest && delay * 2 >= longest, "{delay:?} {longest:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
