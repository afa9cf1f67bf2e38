//! "Did you mean …?" for names that do not exist.

/// How many edits away a name may be to be offered.
const EDITS_MAX: usize = 3;

/// Returns `; did you mean …?` with the nearest of the known names, or nothing if none is near.
pub(crate) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> String {
    let best = known
        .map(|known| (edits(&name.to_lowercase(), &known.to_lowercase()), known))
        .filter(|(edits, known)| *edits <= EDITS_MAX && *edits < known.chars().count())
        .min();
    best.map_or(String::new(), |(_, known)| format!("; did you mean `{known}`?"))
}

/// Counts the insertions, removals and replacements that make one text of another.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    if from.chars().count().abs_diff(to.len()) > EDITS_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_offered_and_a_far_one_is_not() {
        let known = ["click", "clickAt", "close", "x"];
        assert_eq!(nearest("clik", known.into_iter()), "; did you mean `click`?");
        assert_eq!(nearest("CLOSE", known.into_iter()), "; did you mean `close`?");
        assert_eq!(nearest("navigate", known.into_iter()), "");
        assert_eq!(nearest("ab", known.into_iter()), "");
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
