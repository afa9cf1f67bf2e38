//! What an artifact is worth to its run: what is given up first when the run's budget is spent. Pure.

/// Kinds of artifacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArtifactKind {
    /// The page when a test failed.
    Screenshot,
    /// Its HTML.
    PageSource,
    /// What pages wrote to the console.
    ConsoleLog,
    /// What pages fetched.
    NetworkLog,
    /// The page after one step.
    StepScreenshot,
    /// A film of an attempt.
    Video,
    /// What happened when.
    Timeline,
}

/// Kinds, and whether their attempt passed, in the order in which they are given up: what is large and says little first,
/// what tells most about a failure last.
const EVICTION_ORDER: [(ArtifactKind, bool); 11] = [
    (ArtifactKind::Video, true),
    (ArtifactKind::StepScreenshot, true),
    (ArtifactKind::NetworkLog, true),
    (ArtifactKind::ConsoleLog, true),
    (ArtifactKind::Timeline, true),
    (ArtifactKind::Video, false),
    (ArtifactKind::StepScreenshot, false),
    (ArtifactKind::NetworkLog, false),
    (ArtifactKind::ConsoleLog, false),
    (ArtifactKind::PageSource, false),
    (ArtifactKind::Timeline, false),
];

/// Worth of what is given up last: pictures of failures, and whatever is not in the order.
pub const WORTH_MAX: i16 = EVICTION_ORDER.len() as i16;

/// Returns what an artifact is worth: it is given up for one that is worth more, never for one that is not.
#[must_use]
pub fn worth(kind: ArtifactKind, passed: bool) -> i16 {
    let place = EVICTION_ORDER.iter().position(|one| *one == (kind, passed));
    place.and_then(|place| i16::try_from(place).ok()).unwrap_or(WORTH_MAX)
}

/// Returns which of the artifacts that are worth less must go so that `size_bytes` more fit: the least worth first, of those
/// the largest. None when even all of them would not make room; then nothing is given up.
///
/// `lesser` are the sizes of what is worth less, in the order in which it is given up.
#[must_use]
pub fn evict(lesser: &[u64], used_bytes: u64, size_bytes: u64, budget_bytes: u64) -> Option<usize> {
    let mut over = (used_bytes + size_bytes).saturating_sub(budget_bytes);
    for (count, size) in lesser.iter().enumerate() {
        if over == 0 {
            return Some(count);
        }
        over = over.saturating_sub(*size);
    }
    (over == 0).then_some(lesser.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g6_the_film_of_a_passed_test_goes_first_and_the_picture_of_a_failure_last() {
        use ArtifactKind::{Screenshot, StepScreenshot, Timeline, Video};
        let order = [
            (Video, true),
            (StepScreenshot, true),
            (Timeline, true),
            (Video, false),
            (StepScreenshot, false),
            (Timeline, false),
            (Screenshot, false),
        ];
        let worths: Vec<_> = order.map(|(kind, passed)| worth(kind, passed)).into();
        assert!(worths.is_sorted_by(|a, b| a < b), "{worths:?}");
        assert_eq!((worths[0], worths[6]), (0, WORTH_MAX));
    }

    #[test]
    fn g6_as_little_is_given_up_as_makes_room_and_nothing_when_all_would_not() {
        assert_eq!(evict(&[5, 3], 2, 8, 10), Some(0));
        assert_eq!(evict(&[5, 3], 8, 3, 10), Some(1));
        assert_eq!(evict(&[5, 3], 10, 8, 10), Some(2));
        assert_eq!(evict(&[5, 3], 10, 9, 10), None);
        assert_eq!(evict(&[], 0, 11, 10), None);
    }
}
