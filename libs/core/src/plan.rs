//! Planning: cuts the tests of a run into shards. Pure and deterministic: the same request gives the same shards.

use std::ops::Range;

/// Returns the ordinals of each shard: contiguous, in order, sizes differing by at most one.
///
/// There are never more shards than tests, and at least one shard when there is a test. `shards_wanted` of 0 means 1.
#[must_use]
pub fn contiguous_shards(test_count: u32, shards_wanted: u32) -> Vec<Range<u32>> {
    let shard_count = shards_wanted.max(1).min(test_count);
    if shard_count == 0 {
        return Vec::new();
    }
    let (base, longer) = (test_count / shard_count, test_count % shard_count);
    let mut start = 0;
    (0..shard_count)
        .map(|index| {
            let end = start + base + u32::from(index < longer);
            let range = start..end;
            start = end;
            range
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_ordinal_is_in_exactly_one_shard(tests in 0u32..5_000, wanted in 0u32..2_000) {
            let shards = contiguous_shards(tests, wanted);
            let ordinals: Vec<u32> = shards.iter().cloned().flatten().collect();
            prop_assert_eq!(ordinals, (0..tests).collect::<Vec<_>>());
        }

        #[test]
        fn shards_differ_by_at_most_one_test_and_none_is_empty(tests in 1u32..5_000, wanted in 0u32..2_000) {
            let sizes: Vec<u32> = contiguous_shards(tests, wanted).iter().map(|s| s.end - s.start).collect();
            let (least, most) = (*sizes.iter().min().unwrap(), *sizes.iter().max().unwrap());
            prop_assert!(least >= 1 && most - least <= 1);
            prop_assert_eq!(sizes.len() as u32, wanted.clamp(1, tests.max(1)).min(tests));
        }
    }
}
