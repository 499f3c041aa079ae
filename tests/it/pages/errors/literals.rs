//! The texts in the source.

use std::fs;
use std::path::Path;

/// Every text in quotes of `src/`, with `…` for what is filled in.
pub(super) fn literals() -> Vec<String> {
    let mut found = Vec::new();
    collect(&super::super::root().join("src"), &mut found);
    found
}

fn collect(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(quoted(&fs::read_to_string(&path).unwrap()).iter().map(|text| filled_in(text)));
        }
    }
}

/// The texts between quotes, outside of comments, with their escapes resolved as far as errors have any.
fn quoted(source: &str) -> Vec<String> {
    let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    // A character is no text.
    let code = code.join("\n").replace("'\"'", "' '").replace("\\\n", "\\");
    let mut texts = Vec::new();
    let mut rest = code.as_str();
    while let Some(begin) = rest.find('"') {
        let mut text = String::new();
        let mut characters = rest[begin + 1..].char_indices().peekable();
        let end = loop {
            match characters.next() {
                None => return texts,
                Some((at, '"')) => break at,
                Some((_, '\\')) => match characters.next() {
                    Some((_, ' ')) => while characters.next_if(|(_, next)| *next == ' ').is_some() {},
                    Some((_, other)) => text.push(other),
                    None => return texts,
                },
                Some((_, other)) => text.push(other),
            }
        };
        texts.push(text);
        rest = &rest[begin + 1 + end + 1..];
    }
    texts
}

/// With `…` where the text has a place for something.
fn filled_in(text: &str) -> String {
    let mut parts = text.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| {
        let rest = part.split_once('}').map_or(part, |(_, rest)| rest);
        format!("{whole}…{rest}")
    })
}

#[test]
fn texts_are_found() {
    let source =
        "let a = \"one {b:?} \\\n   two \\\"x\\\"\"; // \"no\"\n// \"none\"\nlet c = '\"'; f(\"three\")";
    let texts: Vec<String> = quoted(source).iter().map(|text| filled_in(text)).collect();
    assert_eq!(texts, ["one … two \"x\"", "no", "three"]);
}
