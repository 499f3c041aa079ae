use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const HEADER: &str = "X-Lockgate-Allow-Tools";

fn selection(allow: Option<&[&str]>, deny: &[&str]) -> settings::Selection {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    settings::Selection { allow: allow.map(owned), deny: owned(deny) }
}

fn tools(allow: Option<&[&str]>, deny: &[&str]) -> Offer {
    Offer::chosen(&selection(allow, deny), &selection(None, &[]), &selection(None, &[]))
}

fn resources(allow: Option<&[&str]>, deny: &[&str]) -> Offer {
    Offer::chosen(&selection(None, &[]), &selection(allow, deny), &selection(None, &[]))
}

fn asked(values: &[&str]) -> Result<Offer, BadNames> {
    Offer::of_tools(HEADER, values.iter().map(|value| value.as_bytes()))
}

#[test]
fn what_is_denied_is_not_offered_even_if_it_is_allowed() {
    let offer = tools(Some(&["get_*", "ping"]), &["*_raw"]);
    for (name, offered) in [("get_a", true), ("ping", true), ("get_raw", false), ("put", false), ("", false)]
    {
        assert_eq!(offer.has(Listed::Tools, name), offered, "{name}");
    }
    assert!(offer.has(Listed::Prompts, "put") && offer.has(Listed::Resources, "put"));
    assert!(!tools(Some(&[]), &[]).has(Listed::Tools, "any"), "an empty list allows nothing");
    assert!(tools(None, &[]).is_everything());
    let long = "get_".to_owned() + &"x".repeat(MAX_NAME);
    assert!(!offer.has(Listed::Tools, &long) && offer.has(Listed::Prompts, &long));
}

#[test]
fn no_uri_climbs_out_of_a_pattern() {
    let offer = resources(Some(&["file:///a/*"]), &[]);
    assert!(offer.has(Listed::Resources, "file:///a/b..c/.d/e%2Ff"));
    for uri in ["../b", "x/../../b", "x/%2e%2E/../b", r"..\b", "..%5Cb", "..", "..?x", "%2e%2e%2fb", "./b"] {
        assert!(!offer.has(Listed::Resources, &format!("file:///a/{uri}")), "{uri}");
    }
    assert!(resources(None, &["x"]).has(Listed::Templates, "file:///../{name}"));
    assert!(tools(Some(&["a/../b"]), &[]).has(Listed::Tools, "a/../b"), "a name is no path");
}

#[test]
fn a_header_names_tools_between_commas_and_nothing_means_everything() {
    let offer = asked(&[" a ,, b*", "c"]).unwrap();
    for (name, offered) in [("a", true), ("bx", true), ("c", true), (" a ", false), ("d", false)] {
        assert_eq!(offer.has(Listed::Tools, name), offered, "{name}");
    }
    assert!(offer.has(Listed::Prompts, "d"));
    for nothing in [&[][..], &[""], &[" , ,", ""]] {
        assert!(asked(nothing).unwrap().is_everything());
    }
    let many = |count| vec!["x"; count].join(",");
    assert!(asked(&[&many(256)]).is_ok());
    assert_eq!(asked(&[&many(200), &many(57)]).unwrap_err(), BadNames::TooMany(HEADER));
    let wide = |count| vec!["x*"; count].join(",");
    assert!(asked(&[&wide(32)]).is_ok());
    assert_eq!(asked(&[&wide(33)]).unwrap_err(), BadNames::TooWide(HEADER));
    let unreadable = Offer::of_tools(HEADER, [&b"a,\xff"[..]].into_iter());
    assert_eq!(unreadable.unwrap_err(), BadNames::NotText(HEADER));
}

#[test]
fn a_message_is_looked_at_only_where_something_is_not_offered() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":7}}"#;
    let frame = Frame::parse(Bytes::from(text)).unwrap();
    assert_eq!(Offer::EVERYTHING.check(&frame), Ok(()));
    assert!(tools(None, &["x"]).check(&frame).is_err());
}

fn any_offer() -> impl Strategy<Value = Offer> {
    let names = || prop::collection::vec("[ab*]{1,3}", 0..3);
    (prop::option::of(names()), names()).prop_map(|(allow, deny)| {
        let tools = settings::Selection { allow, deny };
        Offer::chosen(&tools, &settings::Selection::default(), &settings::Selection::default())
    })
}

proptest! {
    /// Whoever has a say can only take away, in whatever order they are asked.
    #[test]
    fn an_offer_has_what_all_offer(
        offers in prop::collection::vec(any_offer(), 0..5),
        name in "[ab]{0,4}",
    ) {
        let offered = offers.iter().all(|offer| offer.has(Listed::Tools, &name));
        let forth = offers.iter().fold(Offer::EVERYTHING, |all, offer| all.and(offer));
        let back = offers.iter().fold(Offer::EVERYTHING, |all, offer| offer.and(&all));
        prop_assert_eq!(forth.has(Listed::Tools, &name), offered);
        prop_assert_eq!(back.has(Listed::Tools, &name), offered);
    }
}
