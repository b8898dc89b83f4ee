//! A process that has opened all that it may: its limits are the process's, so this is one test in a process of its own.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shoal_net::{Filled, FrameReader, FrameWriter, NetError, Room};

fn open_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn what_has_no_room_is_still_there_when_there_is_some() {
    let (a, b) = UnixStream::pair().unwrap();
    let (mut writer, mut reader) = (FrameWriter::new(), FrameReader::new());
    let mut send = |number: u32| {
        let fds: Vec<OwnedFd> = (0..2).map(|_| File::open("/dev/null").unwrap().into()).collect();
        writer.send_blocking(&a, &number, fds).unwrap();
    };
    (1..=4).for_each(&mut send);
    let low = Rlimit { current: Some(40), maximum: Some(200) };
    setrlimit(Resource::Nofile, low).unwrap();
    let mut opened = open_all();
    let next = |reader: &mut FrameReader| reader.next::<u32>().unwrap().map(|(number, fds)| (number, fds.len()));

    // One of two has room: neither is taken.
    opened.pop();
    assert_eq!(reader.fill_if_room(&b).unwrap(), None);
    assert_eq!(next(&mut reader), None);
    let room = Room::make().unwrap();
    assert_eq!(reader.fill(&b).unwrap(), Filled::Data);
    drop(room);
    assert_eq!(next(&mut reader), Some((1, 2)));
    assert_eq!(getrlimit(Resource::Nofile), low);

    // What somebody sets meanwhile stays.
    let room = Room::make().unwrap();
    let other = Rlimit { current: Some(41), ..low };
    setrlimit(Resource::Nofile, other).unwrap();
    drop(room);
    assert_eq!(getrlimit(Resource::Nofile), other);
    assert_eq!(reader.fill_if_room(&b).unwrap(), Some(Filled::Data));
    assert_eq!(next(&mut reader), Some((2, 2)));

    // Who takes without a look loses.
    opened.extend(open_all());
    let full = Rlimit { maximum: other.current, ..other };
    setrlimit(Resource::Nofile, full).unwrap();
    assert!(Room::make().is_none());
    assert_eq!(reader.fill_if_room(&b).unwrap(), None);
    assert!(matches!(reader.fill(&b), Err(NetError::DescriptorsLost)));
    opened.clear();
    assert_eq!(reader.fill_if_room(&b).unwrap(), Some(Filled::Data));
    assert_eq!(next(&mut reader), Some((4, 2)));
}
