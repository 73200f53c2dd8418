//! Memory for what a message is inflated to, of which nobody knows the length before.

/// Up to here memory is doubled, in bytes.
const DOUBLED: usize = 256 * 1024;

/// Most that is taken at once beyond it, in bytes.
const LEAP: usize = 64 * 1024 * 1024;

/// How much more than `len` to reserve, so that `more` fit in, of at most `limit` in all.
///
/// What is doubled leaves its old memory behind at each step, which allocators may keep: by the end as much again as the
/// message. So beyond [`DOUBLED`] room for the whole limit is taken at once. Of that, systems provide only what is written to.
/// Where the limit is beyond [`LEAP`], so is the rest doubled: that much is moved by mapping it elsewhere.
pub(crate) fn to_reserve(len: usize, capacity: usize, more: usize, limit: usize) -> usize {
    let needed = len.saturating_add(more);
    let total = if needed <= capacity { needed } else { capacity_for(needed, limit) };
    total - len
}

fn capacity_for(needed: usize, limit: usize) -> usize {
    let doubled = needed.checked_next_power_of_two().unwrap_or(needed);
    let capacity = if (DOUBLED + 1..LEAP).contains(&needed) { LEAP } else { doubled };
    capacity.min(limit).max(needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    /// All capacities that a message goes through which grows byte by byte.
    fn steps(len: usize, limit: usize) -> Vec<usize> {
        let mut steps = vec![0];
        while let Some(&capacity) = steps.last().filter(|capacity| **capacity < len) {
            steps.push(capacity_for(capacity + 1, limit));
        }
        steps
    }

    #[test]
    fn what_is_left_behind_while_a_message_grows_is_half_a_mebibyte_at_most() {
        for limit in [1, 300_000, MIB, 8 * MIB + 1, LEAP] {
            let steps = steps(limit, limit);
            let (last, left) = steps.split_last().unwrap();
            assert_eq!(*last, limit);
            assert!(left.iter().sum::<usize>() < MIB / 2, "{left:?}");
        }
    }

    #[test]
    fn a_short_message_takes_at_most_twice_its_length_and_a_long_one_the_limit() {
        assert_eq!(capacity_for(5000, MIB), 8192);
        assert_eq!(capacity_for(256 * 1024, MIB), 256 * 1024);
        assert_eq!(capacity_for(256 * 1024 + 1, MIB), MIB);
        assert_eq!(capacity_for(256 * 1024 + 1, usize::MAX), LEAP);
        assert_eq!(capacity_for(LEAP + 1, usize::MAX), 2 * LEAP);
        assert_eq!(capacity_for(usize::MAX, usize::MAX), usize::MAX);
    }
}
