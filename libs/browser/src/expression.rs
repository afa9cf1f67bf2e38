//! Expressions: the script that waits for one, and the script that says what it was instead.

/// Returns a script that polls `expression` in the page for as many milliseconds as its last argument says.
pub(crate) fn wait_script(expression: &str) -> String {
    script(expression, "")
}

/// Returns a script that evaluates the expression once and also shows what was compared with a text, as `left`; `None` if it
/// compares with none. The expression is evaluated again for that.
pub(crate) fn explain(expression: &str) -> Option<(String, String)> {
    let (start, end, literal) = comparison(expression)?;
    let rewritten = format!(
        "{}((__left.value = ({})), __left.value){}",
        &expression[..start],
        &expression[start..end],
        &expression[end..]
    );
    Some((script(&rewritten, "out.left = 'value' in __left ? show(__left.value) : null;"), literal))
}

/// The expression stands on its own line as in the reference, so that what does not compile there fails here, too: a `;` or a
/// comment at its end, an `await`. None of our names is known to it but `__left`.
fn script(expression: &str, after: &str) -> String {
    format!(
        "const __left = {{}};
const __look = () => {{return ({expression});}};
return (async (look, until) => {{
  const show = (v) => {{ try {{ return String(typeof v === 'string' ? JSON.stringify(v) : typeof v === 'object' && v && !(v instanceof Node) ? JSON.stringify(v) : v).slice(0, 500); }} catch {{ return 'something that cannot be shown'; }} }};
  for (;;) {{
    const late = new Promise((done) => setTimeout(() => done({{ shown: 'a promise that is still pending' }}), Math.max(1, until - performance.now())));
    const seen = (async () => {{ const v = await look(); return {{ truthy: !!v, shown: show(v) }}; }})().catch((error) => ({{ shown: 'threw ' + show(String(error)) }}));
    const out = await Promise.race([seen, late]);
    {after}
    if (out.truthy || performance.now() >= until) return out;
    await new Promise((done) => setTimeout(done, 15));
  }}
}})(__look, performance.now() + arguments[arguments.length - 1]);"
    )
}

/// Finds the last `LEFT === "text"`: where LEFT starts and ends, and the text with its quotes.
fn comparison(expression: &str) -> Option<(usize, usize, String)> {
    let at = expression.rfind("===").filter(|at| !expression[..*at].ends_with('!'))?;
    let right = expression[at + 3..].trim_start();
    let quote = right.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let close = right[1..].find(quote)? + 2;
    let left = expression[..at].trim_end();
    let start = operand_start(left)?;
    Some((start, left.len(), right[..close].to_owned()))
}

/// Returns where the member expression that ends `text` starts: names, dots, and whole brackets.
fn operand_start(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut start = text.len();
    for (at, c) in text.char_indices().rev() {
        match c {
            ')' | ']' => depth += 1,
            '(' | '[' if depth == 0 => break,
            '(' | '[' => depth -= 1,
            _ if depth > 0 => {}
            c if c.is_alphanumeric() || "._$?".contains(c) => {}
            _ => break,
        }
        start = at;
    }
    (start < text.len()).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compared_operand_is_found() {
        for (expression, left, right) in [
            (
                "(() => { const e = q(\"#a\"); return !!e && e.textContent.trim() === \"X\"; })()",
                "e.textContent.trim()",
                "\"X\"",
            ),
            ("location.pathname === \"/home\"", "location.pathname", "\"/home\""),
            (
                "document.querySelector('#a b').value === 'x'",
                "document.querySelector('#a b').value",
                "'x'",
            ),
        ] {
            let (start, end, literal) = comparison(expression).expect("a comparison");
            assert_eq!((&expression[start..end], literal.as_str()), (left, right));
        }
        for expression in ["a !== 'x'", "a === b", "true", "=== 'x'"] {
            assert!(comparison(expression).is_none(), "{expression}");
        }
    }
}
