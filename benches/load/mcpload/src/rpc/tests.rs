use super::*;

fn reply(id: u64, text: &str) -> Vec<u8> {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":{text}}}],"_meta":{{"echo/seq":{id},"echo/pid":7}}}}}}"#
    )
    .into_bytes()
}

#[test]
fn payload_round_trip() {
    for size in [0, 64, 200, 5000] {
        let p = Payload::new(size);
        let mut json = String::new();
        p.json(3, 99, &mut json);
        let text: String = serde_json::from_str(&json).unwrap();
        assert!(size < 64 || text.len() == size);
        assert!(p.matches(&text, 3, 99));
        assert!(!p.matches(&text, 3, 98));
        assert!(!p.matches(&text, 2, 99));
        assert!(!p.matches(&text[..text.len() - 1], 3, 99));
    }
}

#[test]
fn every_kind_of_wrong_reply_is_told_apart() {
    let p = Payload::new(100);
    let text = |session, seq| {
        let mut s = String::new();
        p.json(session, seq, &mut s);
        s
    };
    let mut r = Router::new(0, false, true, 0);
    let (a, _, mut wait_a) = r.open(Expect::Echo);
    let (b, _, mut wait_b) = r.open(Expect::Echo);
    let (c, _, mut wait_c) = r.open(Expect::Echo);
    r.on_message(&reply(b, &text(0, b)), &p);
    r.on_message(&reply(a, &text(0, a)), &p);
    assert_eq!(wait_b.try_recv().unwrap().verdict, Verdict::Good);
    assert_eq!(wait_a.try_recv().unwrap().verdict, Verdict::Good);
    assert_eq!(r.counts.reordered, 1);
    r.on_message(&reply(c, &text(1, c)), &p);
    assert_eq!(wait_c.try_recv().unwrap().verdict, Verdict::Mismatch);
    r.on_message(&reply(a, &text(0, a)), &p);
    assert_eq!(r.counts.duplicates, 1);
    r.on_message(&reply(a, &text(5, a)), &p);
    r.on_message(&reply(77, &text(0, 77)), &p);
    assert_eq!(r.counts.foreign, 2);
    let (d, _, _wait) = r.open(Expect::Echo);
    r.abandon(d);
    r.on_message(&reply(d, &text(0, d)), &p);
    assert_eq!(r.counts.late, 1);
    r.on_message(b"not json", &p);
    assert_eq!(r.counts.unparsable, 1);
}

#[test]
fn notifications_are_counted_one_by_one() {
    let p = Payload::new(0);
    let mut r = Router::new(2, true, true, 3);
    let (_, seq, _wait) = r.open(Expect::Length(1));
    r.expect_burst(seq, 4);
    for (i, tag) in [(0, "s2q1"), (2, "s2q1"), (1, "s2q1"), (1, "s2q1"), (3, "s9q1")] {
        let line = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":{{"tag":"{tag}","fill":"nnn","i":{i}}}}}}}"#
        );
        r.on_message(line.as_bytes(), &p);
    }
    let c = &r.counts;
    assert_eq!((c.note_expected, c.note_received), (4, 3));
    assert_eq!((c.note_duplicates, c.note_reordered, c.note_foreign), (1, 1, 1));
}
