//! Frames over real socket pairs.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use shoal_net::{Filled, Flushed, FrameReader, FrameWriter, MAX_DESCRIPTORS, MAX_FRAME, NetError};

const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Message {
    Hello { name: String, pid: u32 },
    Data(Vec<u8>),
    Number(u64),
}

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// A file whose content is `text`, to recognise it by.
fn file(text: &str) -> OwnedFd {
    let fd = rustix::fs::memfd_create("t", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    File::from(fd.try_clone().unwrap()).write_all(text.as_bytes()).unwrap();
    fd
}

fn text_of(fd: OwnedFd) -> String {
    let (mut file, mut text) = (File::from(fd), String::new());
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn messages_arrive_in_order() {
    let (a, b) = pair();
    let (mut writer, mut reader) = (FrameWriter::new(), FrameReader::new());
    let hello = Message::Hello { name: "ö".into(), pid: 7 };
    writer.queue(&hello, vec![]).unwrap();
    writer.queue(&Message::Number(1), vec![]).unwrap();
    assert!(writer.pending_bytes() > 16);
    assert_eq!(writer.flush(&a).unwrap(), Flushed::All);
    assert_eq!(writer.pending_bytes(), 0);
    assert_eq!(reader.fill(&b).unwrap(), Filled::Data);
    assert_eq!(reader.next::<Message>().unwrap().unwrap().0, hello);
    assert_eq!(reader.next::<Message>().unwrap().unwrap().0, Message::Number(1));
    assert!(reader.next::<Message>().unwrap().is_none() && !reader.is_partial());
    assert_eq!(reader.fill(&b).unwrap(), Filled::WouldBlock);
    drop(a);
    assert_eq!(reader.fill(&b).unwrap(), Filled::Eof);
}

#[test]
fn small_frames_go_in_one_call_and_partial_writes_lose_nothing() {
    const COUNT: u64 = 100_000;
    let (a, b) = pair();
    let mut writer = FrameWriter::new();
    for number in 0..COUNT {
        writer.queue(&Message::Number(number), vec![]).unwrap();
    }
    let reading = thread::spawn(move || {
        let mut reader = FrameReader::new();
        for number in 0..COUNT {
            let (message, fds) = reader.recv_blocking::<Message>(&b, LIMIT).unwrap();
            assert!(message == Message::Number(number) && fds.is_empty());
        }
    });
    let mut blocked = 0;
    while writer.flush(&a).unwrap() == Flushed::WouldBlock {
        blocked += 1;
        thread::yield_now();
    }
    assert!(blocked > 0, "the socket's buffer held everything");
    reading.join().unwrap();
}

#[test]
fn a_frame_byte_by_byte() {
    let (a, mut b) = pair();
    let (mut c, d) = pair();
    FrameWriter::new().send_blocking(&a, &Message::Data((0..100).collect()), vec![]).unwrap();
    drop(a);
    let mut bytes = Vec::new();
    b.read_to_end(&mut bytes).unwrap();
    let mut reader = FrameReader::new();
    for byte in bytes {
        assert!(reader.next::<Message>().unwrap().is_none());
        c.write_all(&[byte]).unwrap();
        assert_eq!(reader.fill(&d).unwrap(), Filled::Data);
    }
    assert_eq!(reader.next::<Message>().unwrap().unwrap().0, Message::Data((0..100).collect()));
}

#[test]
fn a_large_frame_between_small_ones() {
    let (a, b) = pair();
    let data: Vec<u8> = (0..20 << 20).map(|i: u32| (i ^ (i >> 8)) as u8).collect();
    let sending = thread::spawn({
        let message = Message::Data(data.clone());
        move || {
            let mut writer = FrameWriter::new();
            writer.queue(&Message::Number(1), vec![]).unwrap();
            writer.queue(&message, vec![file("large")]).unwrap();
            writer.send_blocking(&a, &Message::Number(2), vec![]).unwrap();
        }
    });
    let mut reader = FrameReader::new();
    let mut next = || reader.recv_blocking::<Message>(&b, LIMIT).unwrap();
    assert_eq!(next().0, Message::Number(1));
    let (message, fds) = next();
    assert!(message == Message::Data(data));
    assert_eq!(fds.into_iter().map(text_of).collect::<Vec<_>>(), ["large"]);
    assert_eq!(next().0, Message::Number(2));
    sending.join().unwrap();
}

#[test]
fn descriptors_stay_with_their_frames() {
    let (a, b) = pair();
    let (mut writer, mut reader) = (FrameWriter::new(), FrameReader::new());
    let counts = [0, 2, 0, 0, 1, 3, 0, 1];
    for (number, count) in counts.iter().enumerate() {
        let fds = (0..*count).map(|i| file(&format!("{number}.{i}"))).collect();
        writer.queue(&Message::Number(number as u64), fds).unwrap();
    }
    assert_eq!(writer.flush(&a).unwrap(), Flushed::All);
    // All that was sent is read before the first frame is asked for.
    while reader.fill(&b).unwrap() == Filled::Data {}
    for (number, count) in counts.iter().enumerate() {
        let (message, fds) = reader.next::<Message>().unwrap().unwrap();
        assert_eq!(message, Message::Number(number as u64));
        let expected: Vec<String> = (0..*count).map(|i| format!("{number}.{i}")).collect();
        assert_eq!(fds.into_iter().map(text_of).collect::<Vec<_>>(), expected);
    }
    assert!(reader.next::<Message>().unwrap().is_none());
}

#[test]
fn descriptors_are_closed_after_sending_and_close_on_exec_here() {
    let (a, b) = pair();
    let (mut end, pipe) = {
        let (read, write) = std::io::pipe().unwrap();
        (read, OwnedFd::from(write))
    };
    FrameWriter::new().send_blocking(&a, &0_u8, vec![pipe]).unwrap();
    let (_, fds) = FrameReader::new().recv_blocking::<u8>(&b, LIMIT).unwrap();
    assert!(rustix::io::fcntl_getfd(&fds[0]).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    drop(fds);
    // The writing end is gone everywhere.
    assert_eq!(end.read(&mut [0]).unwrap(), 0);
}

#[test]
fn the_most_descriptors_of_a_frame() {
    let (a, b) = pair();
    let fds = |count| (0..count).map(|_| file("")).collect();
    let mut writer = FrameWriter::new();
    writer.send_blocking(&a, &1_u8, fds(MAX_DESCRIPTORS)).unwrap();
    assert_eq!(FrameReader::new().recv_blocking::<u8>(&b, LIMIT).unwrap().1.len(), MAX_DESCRIPTORS);
    let refused = writer.queue(&1_u8, fds(MAX_DESCRIPTORS + 1));
    assert!(matches!(refused, Err(NetError::TooManyDescriptors { .. })));
    assert_eq!(writer.pending_bytes(), 0);
}

#[test]
fn too_large_a_message_is_not_queued() {
    let mut writer = FrameWriter::new();
    let refused = writer.queue(&vec![0_u8; MAX_FRAME + 1], vec![]);
    assert!(matches!(refused, Err(NetError::FrameTooLarge { .. })));
    assert_eq!(writer.pending_bytes(), 0);
}

/// The error for these raw bytes.
fn error_of(bytes: &[u8]) -> NetError {
    let (mut a, b) = pair();
    a.write_all(bytes).unwrap();
    let mut reader = FrameReader::new();
    reader.recv_blocking::<u8>(&b, LIMIT).unwrap_err()
}

#[test]
fn nonsense_is_refused() {
    assert!(matches!(error_of(&[1, 0, 0, 0, 2, 0, 0, 0, 7]), NetError::Version { found: 2, .. }));
    assert!(matches!(error_of(&[255, 255, 255, 255, 1, 0, 0, 0]), NetError::FrameTooLarge { .. }));
    assert!(matches!(error_of(&[1, 0, 0, 0, 1, 254, 0, 0, 7]), NetError::TooManyDescriptors { count: 254, .. }));
    assert!(matches!(error_of(&[1, 0, 0, 0, 1, 1, 0, 0, 7]), NetError::DescriptorMismatch { expected: 1, found: 0 }));
    assert!(matches!(error_of(&[2, 0, 0, 0, 1, 0, 0, 0, 7, 7]), NetError::TrailingBytes { count: 1 }));
    assert!(matches!(error_of(&[0, 0, 0, 0, 1, 0, 0, 0]), NetError::Decode { len: 0, .. }));
}

/// Sends raw bytes with descriptors that no frame header announces.
fn send_stray(sock: &UnixStream, bytes: &[u8], count: usize) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::os::fd::AsFd;
    let fds: Vec<OwnedFd> = (0..count).map(|_| file("")).collect();
    let borrowed: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&borrowed)));
    sendmsg(sock, &[std::io::IoSlice::new(bytes)], &mut control, SendFlags::empty()).unwrap();
}

#[test]
fn a_look_gives_each_frame_its_descriptors_wherever_it_ends() {
    for len in (16300..16400).chain([40_000, 100_000]) {
        let (a, b) = pair();
        let sent = [0, 2, 0, 1];
        let sends = thread::spawn(move || {
            for fds in sent {
                let of = (0..fds).map(|i| file(&format!("{fds} {i}"))).collect();
                FrameWriter::new().send_blocking(&a, &Message::Data(vec![fds; len]), of).unwrap();
            }
        });
        let mut reader = FrameReader::new();
        let mut got = vec![];
        while reader.fill_if_room(&b).unwrap() != Some(Filled::Eof) {
            while let Some((Message::Data(data), fds)) = reader.next().unwrap() {
                let names: Vec<String> = fds.into_iter().map(text_of).collect();
                assert_eq!(names, (0..data[0]).map(|i| format!("{} {i}", data[0])).collect::<Vec<_>>());
                got.push(data[0]);
            }
        }
        sends.join().unwrap();
        assert_eq!(got, sent, "{len}");
    }
}

#[test]
fn stray_descriptors_are_refused() {
    let (a, b) = pair();
    let mut reader = FrameReader::new();
    send_stray(&a, &[1, 0, 0, 0, 1, 0, 0, 0, 7], 2);
    assert_eq!(reader.recv_blocking::<u8>(&b, LIMIT).unwrap().0, 7);
    let stray = reader.next::<u8>();
    assert!(matches!(stray, Err(NetError::DescriptorMismatch { expected: 0, found: 2 })));
}

#[test]
fn a_flood_of_descriptors_is_refused() {
    let (a, b) = pair();
    let mut reader = FrameReader::new();
    let mut flood = || -> Result<(), NetError> {
        for byte in [0, 0, 1, 0, 1, 0, 0] {
            send_stray(&a, &[byte], MAX_DESCRIPTORS);
            reader.fill(&b)?;
        }
        Ok(())
    };
    assert!(matches!(flood(), Err(NetError::TooManyDescriptors { .. })));
}

#[test]
fn a_closed_peer_is_told_to_both_halves() {
    let (a, b) = pair();
    drop(b);
    let mut writer = FrameWriter::new();
    assert!(matches!(writer.send_blocking(&a, &1_u8, vec![]), Err(NetError::Closed)));
    assert!(matches!(FrameReader::new().recv_blocking::<u8>(&a, LIMIT), Err(NetError::Closed)));
}

#[test]
fn frames_before_the_end_are_read_and_a_cut_one_is_seen() {
    let (mut a, b) = pair();
    FrameWriter::new().send_blocking(&a, &1_u8, vec![]).unwrap();
    a.write_all(&[9, 0]).unwrap();
    drop(a);
    let mut reader = FrameReader::new();
    assert_eq!(reader.recv_blocking::<u8>(&b, LIMIT).unwrap().0, 1);
    assert!(matches!(reader.recv_blocking::<u8>(&b, LIMIT), Err(NetError::Closed)));
    assert!(reader.is_partial());
}

#[test]
fn a_time_limit_loses_nothing() {
    let (mut a, b) = pair();
    let mut reader = FrameReader::new();
    a.write_all(&[1, 0, 0, 0, 1]).unwrap();
    let start = Instant::now();
    let short = reader.recv_blocking::<u8>(&b, Some(Duration::from_millis(20)));
    assert!(matches!(short, Err(NetError::TimedOut)) && start.elapsed() >= Duration::from_millis(20));
    a.write_all(&[0, 0, 0, 42]).unwrap();
    assert_eq!(reader.recv_blocking::<u8>(&b, Some(Duration::ZERO)).unwrap().0, 42);
}
