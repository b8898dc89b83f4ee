//! What is written to a lane is what is read from it, and no bytes make a reader panic.
use proptest::prelude::*;
use shoal_proto::lane::{self, ArgsFrame, RawSlot, Reply, Request, RequestHead, Slot, Status, Target};
use shoal_proto::{Reader, Writer, flat};
use shoal_types::*;
use std::sync::Arc;

fn wire(n: u8) -> RefWire {
    let owner = Address { node: NodeId([n; 16]), worker: WorkerId([n.wrapping_add(1); 16]) };
    RefWire { id: ObjectId::new(TaskId([n; 16]), u32::from(n)), owner }
}

fn loc(n: u64) -> ArenaLoc {
    ArenaLoc { chunk: n, entry: n as u32, generation: 7, offset: n + 1, len: n + 2 }
}

fn values() -> impl Strategy<Value = Value> {
    let refs = || proptest::collection::vec(any::<u8>().prop_map(wire), 0..4);
    prop_oneof![
        (proptest::collection::vec(any::<u8>(), 0..200), refs())
            .prop_map(|(bytes, refs)| Value::Inline { bytes: bytes.into(), refs }),
        (any::<u32>(), refs()).prop_map(|(n, refs)| Value::Stored { loc: loc(n.into()), refs }),
        ".*".prop_map(|text| Value::Error(Arc::new(ErrorValue::new(ErrorKind::Task, text)))),
    ]
}

proptest! {
    #[test]
    fn a_reply_survives_the_lane(
        attempt: u16, task: [u8; 16], micros: u32, retry: bool,
        kept in proptest::collection::vec(any::<u8>().prop_map(wire), 0..5),
        values in proptest::collection::vec(values(), 0..5),
    ) {
        let status = if retry { Status::Retryable } else { Status::Done };
        let reply = Reply { attempt, task: TaskId(task), status, micros, kept, values };
        let mut frame = Vec::new();
        reply.encode(&mut frame);
        prop_assert_eq!(Reply::decode(&frame), Ok(reply));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Reply::decode(&bytes);
        let _ = Request::decode(&bytes).map(|r| r.args.slots.len());
        let _ = lane::far(&bytes);
        let _ = lane::function(&bytes);
        let _ = flat::Pickled::decode(&bytes);
    }

    #[test]
    fn every_prefix_of_a_reply_is_refused(values in proptest::collection::vec(values(), 1..3)) {
        let reply = Reply { attempt: 1, task: TaskId([3; 16]), status: Status::Done, micros: 5, kept: vec![wire(1)], values };
        let mut frame = Vec::new();
        reply.encode(&mut frame);
        for cut in 0..frame.len() {
            prop_assert!(Reply::decode(&frame[..cut]).is_err());
        }
    }

    #[test]
    fn buffers_of_a_pickle_are_aligned_and_apart(pickle in 0usize..500, lens in proptest::collection::vec(0usize..300, 0..6)) {
        let layout = flat::layout(pickle, &lens);
        let mut value = Vec::new();
        flat::put_head(&mut value, &layout, pickle, &lens);
        prop_assert_eq!(value.len(), layout.pickle);
        value.resize(layout.total, 0);
        let read = flat::Pickled::decode(&value).unwrap();
        prop_assert_eq!(read.pickle, layout.pickle..layout.pickle + pickle);
        let mut end = layout.pickle + pickle;
        for (range, len) in read.buffers.iter().zip(&lens) {
            prop_assert_eq!(range.start % flat::ALIGN, 0);
            prop_assert!(range.start >= end);
            prop_assert_eq!(range.len(), *len);
            end = range.end;
        }
    }
}

#[test]
fn a_request_carries_values_and_resolved_dependencies_with_the_refs_of_both() {
    let (mut raw, small) = (Vec::new(), Value::Inline { bytes: Arc::from(*b"dep"), refs: vec![wire(9)] });
    let stored = Value::Stored { loc: loc(40), refs: vec![] };
    lane::put_raw_slot(&mut raw, None, &RawSlot::Value(b"one"));
    lane::put_raw_slot(&mut raw, None, &RawSlot::Dep(0));
    lane::put_raw_slot(&mut raw, Some("key"), &RawSlot::Dep(1));
    let head = RequestHead {
        attempt: 3,
        task: TaskId([5; 16]),
        num_returns: 2,
        window: 0,
        depth: 4,
        name: "f",
        retry_exceptions: true,
        last_try: false,
        target: Target::Function(FunctionId([6; 16])),
    };
    let mut frame = Vec::new();
    head.encode(&mut Writer(&mut frame));
    let deps = [(wire(1), &small), (wire(2), &stored)];
    let place = |r: &RefWire| (*r == wire(9)).then(|| loc(50));
    lane::put_args(&mut Writer(&mut frame), &raw, &[wire(7)], |i| deps[i as usize], place).unwrap();

    let request = Request::decode(&frame).unwrap();
    assert_eq!((request.attempt, request.num_returns, request.depth, request.name), (3, 2, 4, "f"));
    assert!(request.retry_exceptions && !request.last_try);
    assert_eq!(request.target, Target::Function(FunctionId([6; 16])));
    let slots =
        [(None, Slot::Value(b"one")), (None, Slot::Value(b"dep")), (Some("key"), Slot::Stored(wire(2), loc(40)))];
    assert_eq!(request.args.slots, slots);
    assert_eq!(request.args.refs, [wire(7), wire(9)]);
    assert_eq!(request.args.places, [(wire(9).id, loc(50))]);
}

#[test]
fn a_method_call_names_its_method_and_group() {
    let head = RequestHead {
        attempt: 0,
        task: TaskId([5; 16]),
        num_returns: 1,
        window: 0,
        depth: 0,
        name: "m",
        retry_exceptions: false,
        last_try: true,
        target: Target::Method("m", "io"),
    };
    let mut frame = Vec::new();
    head.encode(&mut Writer(&mut frame));
    lane::put_args(&mut Writer(&mut frame), &[], &[], |_| unreachable!(), |_| unreachable!()).unwrap();
    let request = Request::decode(&frame).unwrap();
    assert_eq!(request.target, Target::Method("m", "io"));
    assert!(request.args.slots.is_empty() && !request.retry_exceptions && request.last_try);
}

#[test]
fn an_errors_value_is_no_argument() {
    let error = Value::Error(Arc::new(ErrorValue::new(ErrorKind::Task, "x")));
    let mut raw = Vec::new();
    lane::put_raw_slot(&mut raw, None, &RawSlot::Dep(0));
    let put = lane::put_args(&mut Writer(&mut Vec::new()), &raw, &[], |_| (wire(1), &error), |_| None);
    assert!(put.is_err());
}

#[test]
fn far_and_function_frames_are_told_from_others() {
    let mut far = Vec::new();
    lane::put_far(&mut far, wire(3).id, &loc(11));
    assert_eq!(lane::far(&far), Ok(Some((wire(3).id, loc(11)))));
    assert_eq!(lane::function(&far), Ok(None));
    let mut function = Vec::new();
    lane::put_function(&mut function, FunctionId([8; 16]), b"pickle");
    assert_eq!(lane::function(&function), Ok(Some((FunctionId([8; 16]), &b"pickle"[..]))));
    assert_eq!(lane::far(&function), Ok(None));
    assert!(ArgsFrame::decode(&mut Reader::new(&[1, 0, 0, 0, 9])).is_err());
}
