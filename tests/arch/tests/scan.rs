//! Reads Rust just well enough to tell code, strings and comments apart, and to leave out what only tests compile.

/// A string literal, without its quotes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    /// Line of its first character, 1-based.
    pub(crate) line: usize,
    /// Text as written; escapes are not resolved.
    pub(crate) text: String,
}

/// A Rust source, cut into its parts.
pub(crate) struct Scan {
    /// The code with comments and the insides of literals as blanks, line for line.
    pub(crate) code: String,
    /// Every string literal outside test code.
    pub(crate) literals: Vec<Literal>,
}

/// Scans a source and blanks every item below `#[cfg(test)]`.
pub(crate) fn scan(source: &str) -> Scan {
    let (code, literals) = split(source);
    let (code, cut) = without_tests(&code);
    let literals =
        literals.into_iter().filter(|l| !cut.iter().any(|c| c.contains(&l.line))).collect();
    Scan { code, literals }
}

fn split(source: &str) -> (String, Vec<Literal>) {
    let chars: Vec<char> = source.chars().collect();
    let (mut code, mut literals, mut at, mut line) = (String::new(), Vec::new(), 0, 1);
    let is = |at: usize, text: &str| {
        text.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c))
    };
    let ident = |at: Option<usize>| {
        at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric() || *c == '_')
    };
    // Copies `count` characters as blanks, keeping line ends.
    let blank = |code: &mut String, line: &mut usize, from: usize, to: usize| {
        for c in &chars[from..to.min(chars.len())] {
            code.push(if *c == '\n' { '\n' } else { ' ' });
            *line += usize::from(*c == '\n');
        }
    };
    while at < chars.len() {
        let start = at;
        if is(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
            blank(&mut code, &mut line, start, at);
        } else if is(at, "/*") {
            let mut depth = 1;
            at += 2;
            while at < chars.len() && depth > 0 {
                let step = usize::from(is(at, "/*") || is(at, "*/"));
                depth += i32::from(is(at, "/*")) - i32::from(is(at, "*/"));
                at += 1 + step;
            }
            blank(&mut code, &mut line, start, at);
        } else if let Some((open, hashes)) =
            raw_string(&chars, at).filter(|_| !ident(at.checked_sub(1)))
        {
            let end: String =
                std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            at += open;
            let from = at;
            while at < chars.len() && !is(at, &end) {
                at += 1;
            }
            literals.push(Literal { line, text: chars[from..at].iter().collect() });
            at += end.len();
            blank(&mut code, &mut line, start, at);
        } else if chars[at] == '"' {
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at = at.min(chars.len());
            literals.push(Literal { line, text: chars[start + 1..at].iter().collect() });
            at += 1;
            blank(&mut code, &mut line, start, at);
        } else if chars[at] == '\'' && (is(at + 1, "\\") || chars.get(at + 2) == Some(&'\'')) {
            at += if is(at + 1, "\\") { 3 } else { 2 };
            while at < chars.len() && chars[at] != '\'' {
                at += 1;
            }
            at += 1;
            blank(&mut code, &mut line, start, at);
        } else {
            line += usize::from(chars[at] == '\n');
            code.push(chars[at]);
            at += 1;
        }
    }
    (code, literals)
}

/// Returns the length of `r##"` (with an optional `b` or `c`) and its number of hashes.
fn raw_string(chars: &[char], at: usize) -> Option<(usize, usize)> {
    let prefix = usize::from(matches!(chars[at], 'b' | 'c'));
    if chars.get(at + prefix) != Some(&'r') {
        return None;
    }
    let hashes = chars[at + prefix + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(at + prefix + 1 + hashes) == Some(&'"')).then_some((prefix + 2 + hashes, hashes))
}

/// Blanks each item that follows `#[cfg(test)]`; returns the lines that it took.
fn without_tests(code: &str) -> (String, Vec<std::ops::RangeInclusive<usize>>) {
    let (mut kept, mut cut, mut rest) = (String::new(), Vec::new(), code);
    while let Some(start) = rest.find("#[cfg(test)]") {
        let (before, item) = rest.split_at(start);
        let mut depth = 0;
        let end = item["#[cfg(test)]".len()..]
            .char_indices()
            .find(|(_, c)| {
                depth += i32::from(*c == '{') - i32::from(*c == '}');
                depth == 0 && matches!(c, ';' | '}')
            })
            .map_or(item.len(), |(at, _)| "#[cfg(test)]".len() + at + 1);
        kept.push_str(before);
        let first = kept.matches('\n').count() + 1;
        let (gone, after) = item.split_at(end);
        kept.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        cut.push(first..=first + gone.matches('\n').count());
        rest = after;
    }
    kept.push_str(rest);
    (kept, cut)
}

#[test]
fn code_strings_and_comments_are_told_apart() {
    let source = "// \"no\"\nlet a = \"one\\\"\"; /* \"x\" /* */ */ let c = '\"'; let r = r#\"two\n\"#;\nlet z: &'a str;\n";
    let scanned = scan(source);
    let literal = |line, text: &str| Literal { line, text: text.to_owned() };
    assert_eq!(scanned.literals, [literal(2, "one\\\""), literal(2, "two\n")]);
    assert_eq!(scanned.code.lines().count(), source.lines().count());
    assert!(scanned.code.contains("let z: &'a str;"), "{}", scanned.code);
    assert!(!scanned.code.contains("no") && !scanned.code.contains("two"));
}

#[test]
fn items_only_for_tests_are_left_out() {
    let source = "fn a() { \"kept\"; }\n#[cfg(test)]\nmod tests {\n fn b() { \"gone\"; }\n}\nconst C: &str = \"too\";\n#[cfg(test)]\nmod more;\nfn d() {}\n";
    let scanned = scan(source);
    let texts: Vec<_> = scanned.literals.iter().map(|l| l.text.as_str()).collect();
    assert_eq!(texts, ["kept", "too"]);
    assert!(scanned.code.contains("fn d()") && !scanned.code.contains("mod more"));
}
