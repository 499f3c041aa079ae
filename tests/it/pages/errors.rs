//! docs/troubleshooting.md: what it says people see is what they see. Most of it is provoked; for the rest, a text of
//! `src/` must be it.

mod literals;
mod provoked;

use self::literals::literals;
use self::provoked::{Told, of_requests, of_sessions, of_starts, over_limits};
use super::Faults;
use super::markdown::{Page, spans};

/// Whether a text is what the quotation says, in which `…` stands for anything.
fn is_quoted(quotation: &str, text: &str) -> bool {
    let parts: Vec<&str> = quotation.split('…').map(str::trim).collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    let mut rest = text;
    let in_order = parts.iter().all(|part| {
        let found = rest.find(part).map(|at| &rest[at + part.len()..]);
        rest = found.unwrap_or_default();
        found.is_some()
    });
    in_order && text.starts_with(first) && text.ends_with(last)
}

#[tokio::test]
async fn every_error_that_is_quoted_is_one_that_there_is() {
    let mut told: Vec<Told> = of_requests().await;
    told.extend(over_limits().await);
    told.extend(of_sessions().await);
    told.extend(of_starts());
    let (page, literals) = (Page::read("docs/troubleshooting.md"), literals());
    let (mut faults, mut quotations) = (Faults::default(), Vec::new());
    for (line, cells) in page.rows("you see") {
        let status = cells[0].split(' ').next().and_then(|word| word.parse().ok());
        for quotation in spans(cells[0]) {
            let seen: Vec<&Told> = told.iter().filter(|told| is_quoted(quotation, &told.text)).collect();
            if let Some(other) = seen.iter().find(|told| told.status != status) {
                faults.add(&page, line, format!("{quotation:?} comes with {:?}", other.status));
            } else if seen.is_empty() && !literals.iter().any(|literal| is_quoted(quotation, literal)) {
                faults.add(&page, line, format!("nobody is told {quotation:?}"));
            }
            quotations.push(quotation);
        }
    }
    for Told { status, text } in &told {
        if !quotations.iter().any(|quotation| is_quoted(quotation, text)) {
            faults.add(&page, 1, format!("has nothing of {status:?} {text:?}"));
        }
    }
    faults.tell();
}

#[test]
fn a_quotation_is_the_whole_text() {
    for quotation in ["a b c", "a … c", "… b …", "a …", "… c"] {
        assert!(is_quoted(quotation, "a b c"), "{quotation}");
    }
    for quotation in ["a b", "b … c", "a … b", "c … a", "… d …"] {
        assert!(!is_quoted(quotation, "a b c"), "{quotation}");
    }
}
