use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const LISTENING: StreamId = StreamId::LISTENING;

fn note(size: usize) -> Frame {
    let text = format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, "m".repeat(size));
    Frame::parse(Bytes::from(text)).unwrap()
}

fn poll(outbox: &mut Outbox, stream: StreamId, ticket: u64) -> Poll<Option<Delivery>> {
    outbox.poll(stream, ticket, &Context::from_waker(Waker::noop()))
}

fn take(outbox: &mut Outbox, stream: StreamId, ticket: u64) -> Option<Delivery> {
    match poll(outbox, stream, ticket) {
        Poll::Ready(delivery) => delivery,
        Poll::Pending => None,
    }
}

fn sizes(delivery: &Delivery) -> Vec<usize> {
    delivery.frames.iter().map(|f| f.bytes().len() - 29).collect()
}

fn push(outbox: &mut Outbox, stream: StreamId, size: usize) {
    assert!(outbox.push(stream, note(size), Instant::now()).is_none());
}

fn attach(outbox: &mut Outbox, stream: StreamId, seen: Option<u64>) -> u64 {
    outbox.attach(stream, seen, Instant::now()).unwrap().0
}

#[tokio::test(start_paused = true)]
async fn messages_come_in_order_and_the_end_after_them() {
    let mut outbox = Outbox::new(1000, false, Instant::now());
    let ticket = attach(&mut outbox, LISTENING, None);
    assert!(poll(&mut outbox, LISTENING, ticket).is_pending());
    push(&mut outbox, LISTENING, 1);
    push(&mut outbox, LISTENING, 2);
    outbox.close();
    assert_eq!(sizes(&take(&mut outbox, LISTENING, ticket).unwrap()), [1, 2]);
    assert!(matches!(poll(&mut outbox, LISTENING, ticket), Poll::Ready(None)));
}

#[tokio::test(start_paused = true)]
async fn a_message_larger_than_the_room_fits_once() {
    let mut outbox = Outbox::new(500, false, Instant::now());
    let ticket = attach(&mut outbox, LISTENING, None);
    assert!(outbox.has_room());
    push(&mut outbox, LISTENING, 1000);
    assert!(!outbox.has_room());
    take(&mut outbox, LISTENING, ticket).unwrap();
    assert!(outbox.has_room());
}

#[tokio::test(start_paused = true)]
async fn a_reader_stalls_only_while_something_waits_and_is_then_cut_off() {
    let mut outbox = Outbox::new(500, true, Instant::now());
    let ticket = attach(&mut outbox, LISTENING, None);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(!outbox.cut_stalled(Instant::now()));
    push(&mut outbox, LISTENING, 1);
    assert!(!outbox.cut_stalled(Instant::now() - Duration::from_secs(1)));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(outbox.cut_stalled(Instant::now() - Duration::from_secs(1)));
    assert!(matches!(poll(&mut outbox, LISTENING, ticket), Poll::Ready(None)));
    let again = attach(&mut outbox, LISTENING, None);
    assert_eq!(sizes(&take(&mut outbox, LISTENING, again).unwrap()), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_second_reader_replaces_the_first_and_goes_on_where_it_left_off() {
    let mut outbox = Outbox::new(5000, true, Instant::now());
    let first = attach(&mut outbox, LISTENING, None);
    push(&mut outbox, LISTENING, 1);
    take(&mut outbox, LISTENING, first).unwrap();
    push(&mut outbox, LISTENING, 2);
    let second = attach(&mut outbox, LISTENING, None);
    assert!(matches!(poll(&mut outbox, LISTENING, first), Poll::Ready(None)));
    outbox.detach(LISTENING, first);
    assert!(outbox.is_listened_to(), "the first reader took the second with it");
    let delivery = take(&mut outbox, LISTENING, second).unwrap();
    assert_eq!((sizes(&delivery), delivery.first.number), (vec![2], 2));
}

#[tokio::test(start_paused = true)]
async fn what_a_client_missed_is_replayed_from_that_stream_alone() {
    let mut outbox = Outbox::new(5000, true, Instant::now());
    let call = outbox.open(Instant::now());
    let ticket = attach(&mut outbox, call, None);
    for size in [1, 2, 3] {
        push(&mut outbox, call, size);
        push(&mut outbox, LISTENING, 100 + size);
    }
    take(&mut outbox, call, ticket).unwrap();
    outbox.detach(call, ticket);
    push(&mut outbox, call, 4);
    outbox.complete(call);
    for seen in 0..4 {
        let ticket = attach(&mut outbox, call, Some(seen));
        let delivery = take(&mut outbox, call, ticket).unwrap();
        assert_eq!(delivery.first, EventId { stream: call, number: seen + 1 });
        assert_eq!(sizes(&delivery), (seen as usize + 1..=4).collect::<Vec<_>>());
        assert!(delivery.last);
        outbox.detach(call, ticket);
    }
    assert!(outbox.is_exhausted(call, 4) && !outbox.is_exhausted(call, 3));
    assert!(outbox.attach(call, Some(5), Instant::now()).is_err());
    assert!(outbox.attach(StreamId(9), Some(0), Instant::now()).is_err());
}

#[tokio::test(start_paused = true)]
async fn that_nothing_was_missed_is_known_of_streams_that_are_gone() {
    let mut outbox = Outbox::new(1000, true, Instant::now());
    let mut calls = Vec::new();
    for _ in 0..2 * MAX_EXHAUSTED {
        let call = outbox.open(Instant::now());
        let ticket = attach(&mut outbox, call, None);
        push(&mut outbox, call, 1);
        outbox.complete(call);
        take(&mut outbox, call, ticket).unwrap();
        outbox.detach(call, ticket);
        calls.push(call);
    }
    push(&mut outbox, LISTENING, 5000);
    let last = *calls.last().unwrap();
    assert!(outbox.streams.len() == 1 && outbox.attach(last, Some(1), Instant::now()).is_err());
    // What came before its last event is gone, and for good.
    assert!(outbox.is_exhausted(last, 1) && !outbox.is_exhausted(last, 0));
    assert!(!outbox.is_exhausted(calls[0], 1) && outbox.exhausted.len() == MAX_EXHAUSTED);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_bounded_and_ended_streams_go_first() {
    let mut outbox = Outbox::new(2000, true, Instant::now());
    let (old, open) = (outbox.open(Instant::now()), outbox.open(Instant::now()));
    for stream in [old, open] {
        let ticket = attach(&mut outbox, stream, None);
        push(&mut outbox, stream, 700);
        take(&mut outbox, stream, ticket).unwrap();
        if stream == old {
            outbox.complete(stream);
        }
        outbox.detach(stream, ticket);
    }
    assert!(outbox.has_room());
    push(&mut outbox, LISTENING, 500);
    assert!(outbox.attach(old, Some(0), Instant::now()).is_err(), "the ended stream is still there");
    assert!(outbox.attach(open, Some(0), Instant::now()).is_ok());
    for _ in 0..100 {
        push(&mut outbox, LISTENING, 500);
    }
    let ticket = attach(&mut outbox, LISTENING, None);
    let rest = take(&mut outbox, LISTENING, ticket).unwrap();
    assert_eq!(rest.first.number + rest.frames.len() as u64, 102, "the newest are kept");
    assert!(rest.frames.len() < 4);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_reader_does_not_hold_up_its_source() {
    let mut outbox = Outbox::new(1000, true, Instant::now());
    for _ in 0..50 {
        push(&mut outbox, LISTENING, 900);
    }
    assert!(outbox.has_room());
    outbox.forget(LISTENING, None);
    assert!(outbox.push(LISTENING, note(1), Instant::now()).is_some());
}

#[derive(Clone, Debug)]
enum Step {
    Push(u8, usize),
    Attach(u8, Option<u64>),
    Take(u8),
    Detach(u8),
    Complete(u8),
    Forget(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let stream = 0u8..4;
    prop::collection::vec(
        prop_oneof![
            4 => (stream.clone(), 1usize..600).prop_map(|(s, n)| Step::Push(s, n)),
            2 => (stream.clone(), prop::option::of(0u64..6)).prop_map(|(s, n)| Step::Attach(s, n)),
            3 => stream.clone().prop_map(Step::Take),
            2 => stream.clone().prop_map(Step::Detach),
            1 => stream.clone().prop_map(Step::Complete),
            1 => (1u8..4).prop_map(Step::Forget),
        ],
        0..200,
    )
}

proptest! {
    /// Whatever happens: the amounts are those of the streams, what is kept is bounded, and a reader that
    /// stays gets events without a gap.
    #[test]
    fn amounts_add_up_and_readers_see_no_gap(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().start_paused(true).enable_time().build().unwrap();
        let _inside = runtime.enter();
        let now = Instant::now();
        let mut outbox = Outbox::new(2000, true, now);
        let mut streams = vec![LISTENING];
        streams.extend((1..4).map(|_| outbox.open(now)));
        let mut readers: [Option<(u64, u64)>; 4] = [None; 4];
        for step in steps {
            match step {
                Step::Push(s, size) => drop(outbox.push(streams[usize::from(s)], note(size), now)),
                Step::Attach(s, seen) => if let Ok((ticket, at)) = outbox.attach(streams[usize::from(s)], seen, now) {
                    readers[usize::from(s)] = Some((ticket, at.number));
                },
                Step::Take(s) => if let Some((ticket, at)) = &mut readers[usize::from(s)]
                    && let Some(delivery) = take(&mut outbox, streams[usize::from(s)], *ticket)
                {
                    prop_assert_eq!(delivery.first.number, *at + 1);
                    *at += delivery.frames.len() as u64;
                },
                Step::Detach(s) => if let Some((ticket, _)) = readers[usize::from(s)].take() {
                    outbox.detach(streams[usize::from(s)], ticket);
                },
                Step::Complete(s) => outbox.complete(streams[usize::from(s)]),
                Step::Forget(s) => outbox.forget(streams[usize::from(s)], None),
            }
            let amounts = outbox.streams.values().map(Stream::amounts);
            let (unread, kept) = amounts.fold((0, 0), |sum, a| (sum.0 + a.0, sum.1 + a.1));
            prop_assert_eq!((outbox.unread, outbox.kept), (unread, kept));
            prop_assert!(kept <= 2000 + 800, "{}", kept);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_goes_before_an_answer_that_nobody_has_read() {
    let mut outbox = Outbox::new(4000, true, Instant::now());
    let listener = attach(&mut outbox, LISTENING, None);
    for _ in 0..3 {
        push(&mut outbox, LISTENING, 1000);
        take(&mut outbox, LISTENING, listener).unwrap();
    }
    let call = outbox.open(Instant::now());
    let ticket = attach(&mut outbox, call, None);
    outbox.detach(call, ticket);
    // Larger than all that may be kept: one message may be.
    push(&mut outbox, call, 5000);
    outbox.complete(call);
    let ticket = attach(&mut outbox, call, Some(0));
    assert_eq!(sizes(&take(&mut outbox, call, ticket).unwrap()), [5000]);
}

#[tokio::test(start_paused = true)]
async fn of_the_listening_stream_the_rest_is_given_where_some_is_gone() {
    let mut outbox = Outbox::new(2000, true, Instant::now());
    for _ in 0..10 {
        push(&mut outbox, LISTENING, 500);
    }
    let ticket = attach(&mut outbox, LISTENING, Some(1));
    assert!(take(&mut outbox, LISTENING, ticket).unwrap().first.number > 2);
}

#[tokio::test(start_paused = true)]
async fn streams_without_events_are_bounded_too() {
    let mut outbox = Outbox::new(4000, true, Instant::now());
    for _ in 0..1000 {
        let call = outbox.open(Instant::now());
        let ticket = attach(&mut outbox, call, None);
        outbox.complete(call);
        outbox.detach(call, ticket);
    }
    assert!(outbox.streams.len() < 40, "{}", outbox.streams.len());
}
