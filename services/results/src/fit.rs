//! Cuts an attempt to its limit: details go first, its outcome never. Pure.

use gauntlet_core::limits::ATTEMPT_BYTES_MAX;
use gauntlet_proto::v1;
use prost::Message as _;

/// What is left of one text; all texts of an attempt together stay far below its limit.
const TEXT_BYTES_MAX: usize = ATTEMPT_BYTES_MAX / 32;

/// Returns the attempt encoded, within its limit. What had to be cut is flagged.
pub(crate) fn encode(mut attempt: v1::Attempt) -> Vec<u8> {
    // In the order in which a reader misses it least. After the last one nothing of free length is left.
    let cuts: [fn(&mut v1::Attempt); 3] =
        [|attempt| attempt.steps.clear(), cut_texts, |attempt| attempt.artifacts.clear()];
    for cut in cuts {
        if attempt.encoded_len() <= ATTEMPT_BYTES_MAX {
            break;
        }
        attempt.truncated = true;
        cut(&mut attempt);
    }
    attempt.encode_to_vec()
}

fn cut_texts(attempt: &mut v1::Attempt) {
    let failure = attempt.failure.get_or_insert_default();
    let v1::Failure { step_index: _, step_type, selector, expected, found, failure_class, message } =
        failure;
    for text in
        [&mut attempt.executor, step_type, selector, expected, found, failure_class, message]
    {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(attempt: v1::Attempt) -> v1::Attempt {
        let bytes = encode(attempt);
        assert!(bytes.len() <= ATTEMPT_BYTES_MAX, "{} bytes", bytes.len());
        v1::Attempt::decode(bytes.as_slice()).unwrap()
    }

    fn long() -> String {
        "ä".repeat(ATTEMPT_BYTES_MAX)
    }

    fn step() -> v1::StepResult {
        v1::StepResult { selector_used: "#a".repeat(600), ..Default::default() }
    }

    #[test]
    fn an_attempt_over_its_limit_is_within_it_and_flagged_whatever_made_it_long() {
        let artifact = v1::ArtifactRef { hash: long(), ..Default::default() };
        let texts = v1::Failure {
            step_type: long(),
            selector: long(),
            expected: long(),
            found: long(),
            failure_class: long(),
            message: long(),
            ..Default::default()
        };
        for attempt in [
            v1::Attempt { steps: vec![step(); 1_000], ..Default::default() },
            v1::Attempt { failure: Some(texts), ..Default::default() },
            v1::Attempt { executor: long(), ..Default::default() },
            v1::Attempt { artifacts: vec![artifact; 3], ..Default::default() },
        ] {
            assert!(cut(v1::Attempt { ordinal: 7, ..attempt }).truncated);
        }
    }

    #[test]
    fn an_attempt_at_its_limit_is_left_alone_and_one_byte_more_is_not() {
        let mut attempt = v1::Attempt { steps: vec![step()], ..Default::default() };
        attempt.executor = "x".repeat(ATTEMPT_BYTES_MAX / 2);
        attempt.executor += &"x".repeat(ATTEMPT_BYTES_MAX - attempt.encoded_len());
        assert_eq!(cut(attempt.clone()), attempt);
        attempt.executor.push('x');
        let cut = cut(attempt);
        assert!(cut.truncated && cut.steps.is_empty());
    }
}
