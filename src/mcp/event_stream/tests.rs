use proptest::prelude::*;

use super::pending::SHARED;
use super::*;

type Found = (Vec<(EventName, String)>, Option<TooLong>, Option<String>, Option<u64>);

fn read(max: usize, pieces: &[&[u8]]) -> Found {
    let (mut stream, mut events, mut error) = (EventStream::new(max), Vec::new(), None);
    for piece in pieces {
        stream.feed(Bytes::copy_from_slice(piece));
        error = loop {
            match stream.next_event() {
                Ok(Some(event)) => {
                    events.push((event.name, String::from_utf8_lossy(&event.data).into_owned()));
                }
                Ok(None) => break None,
                Err(too_long) => break Some(too_long),
            }
        };
    }
    (events, error, stream.last_id().map(Into::into), stream.retry_ms())
}

fn data(text: &[u8]) -> Vec<String> {
    read(1000, &[text]).0.into_iter().map(|(_, data)| data).collect()
}

const TEXT: &[u8] = b"\xef\xbb\xbf: hello\n\nevent: endpoint\r\ndata: /m?id=1\r\n\r\nid: 7\nretry: 250\ndata: \n\n\
    data:{\"a\":1}\rdata: b\r\rid: 8\n\nevent: ping\ndata\n\nretry: x\nretry: +9\ndatabase: x\ndata:  two \n\n\
    id: 9\ndata: last";

#[test]
fn fields_comments_and_every_line_end() {
    let (events, error, id, retry) = read(1000, &[TEXT]);
    let expected = [
        (EventName::Endpoint, "/m?id=1"),
        (EventName::Message, ""),
        (EventName::Message, "{\"a\":1}\nb"),
        (EventName::Other, ""),
        (EventName::Message, " two "),
    ];
    assert_eq!(events, expected.map(|(name, data)| (name, data.to_owned())));
    assert_eq!((error, id.as_deref(), retry), (None, Some("8"), Some(250)));
}

#[test]
fn an_id_stays_until_another_whole_event_says_otherwise() {
    let id = |text: &[u8]| read(1000, &[text]).2;
    assert_eq!(id(b"id: 1\ndata: a\n\ndata: b\n\n").as_deref(), Some("1"));
    assert_eq!(id(b"id: 1\n\nid: 2\n").as_deref(), Some("1"), "the second event has not ended");
    assert_eq!(id(b"id: 1\n\nid: 2\0\n\nid: \xff\n\n").as_deref(), Some("1"));
    assert_eq!(id(b"id: 1\n\nid\n\n"), None);
}

#[test]
fn a_byte_order_mark_counts_at_the_start_only() {
    assert_eq!(data(b"\xef\xbb\xbfdata: a\n\n"), ["a"]);
    assert_eq!(data(b"\xef\xbbdata: a\n\ndata: b\n\n"), ["b"]);
    assert_eq!(data(b"\n\xef\xbb\xbfdata: a\n\ndata: b\n\n"), ["b"]);
}

#[test]
fn an_event_is_there_as_soon_as_it_has_ended() {
    let mut stream = EventStream::new(10);
    stream.feed(Bytes::from_static(b"data: a\r\n\r"));
    assert_eq!(stream.next_event().unwrap().unwrap().data, "a");
    stream.feed(Bytes::from_static(b"\ndata: b\n\n"));
    assert_eq!(stream.next_event().unwrap().unwrap().data, "b");
    assert_eq!(stream.next_event(), Ok(None));
}

#[test]
fn pieces_may_come_before_their_turn() {
    let mut stream = EventStream::new(10);
    stream.feed(Bytes::from_static(b"data: a\n\nda"));
    stream.feed(Bytes::from_static(b"ta: b\n\n"));
    assert_eq!(stream.next_event().unwrap().unwrap().data, "a");
    assert_eq!(stream.next_event().unwrap().unwrap().data, "b");
}

#[test]
fn large_data_stays_where_it_came_and_small_data_does_not_keep_that() {
    let mut stream = EventStream::new(2 * SHARED);
    let mut of_size = |size: usize| {
        let piece = Bytes::from([b"data: ", &vec![b'x'; size][..], b"\n\n"].concat());
        let within = piece.as_ptr_range();
        stream.feed(piece.clone());
        let data = stream.next_event().unwrap().unwrap().data;
        assert_eq!(data.len(), size);
        within.contains(&data.as_ptr())
    };
    assert!(of_size(SHARED));
    assert!(!of_size(SHARED - 1));
}

#[test]
fn what_is_too_long_is_told_and_not_kept() {
    let error = |max, pieces: &[&[u8]]| read(max, pieces).1;
    assert_eq!(error(10, &[b"data: 0123456789\n\n"]), None);
    assert_eq!(error(10, &[b"data: 0123456789A"]), Some(TooLong(10)), "before its end has come");
    assert_eq!(error(10, &[b"data: 01234\ndata: 56789\n\n"]), Some(TooLong(10)));
    assert_eq!(error(10, &[b"data: 01234\n", b"data: 56789"]), Some(TooLong(10)));
    assert_eq!(error(10, &["data\n".repeat(11).as_bytes()]), None);
    assert_eq!(error(10, &["data\n".repeat(12).as_bytes()]), Some(TooLong(10)));
    let large = vec![b'x'; SHARED + 1];
    assert_eq!(error(SHARED, &[b"data:", &large, b"\n\n"]), Some(TooLong(SHARED)));
    assert_eq!(error(SHARED, &[&[b"data:", &large[..], b"\n\n"].concat()]), Some(TooLong(SHARED)));
    assert_eq!(error(10, &[b"id: ", &large]), Some(TooLong(MAX_FIELD)));
    assert_eq!(error(10, &[&[b"id: ", &large[..], b"\n"].concat()]), Some(TooLong(MAX_FIELD)));
    assert_eq!(error(10, &[b": ", &large, &large, b"\n"]), None, "comments are not kept");
}

#[test]
fn after_what_was_too_long_comes_nothing_but_where_to_go_on() {
    let mut stream = EventStream::new(3);
    for piece in ["id: 7\ndata: abc\n\n", "data: abcd\n\n", "data: a\n\n"] {
        stream.feed(piece.into());
        let _ = stream.next_event();
    }
    assert_eq!(stream.next_event(), Err(TooLong(3)));
    assert_eq!(stream.last_id(), Some("7"));
    assert!(stream.event.whole().is_none(), "what was read of it is gone");
}

proptest! {
    #[test]
    fn where_a_stream_is_cut_changes_nothing(
        max in 0usize..12,
        cuts in prop::collection::vec(0usize..TEXT.len(), 0..9),
    ) {
        let mut cuts = cuts;
        cuts.extend([0, TEXT.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|ends| &TEXT[ends[0]..ends[1]]).collect();
        prop_assert_eq!(read(max, &pieces), read(max, &[TEXT]));
    }
}
