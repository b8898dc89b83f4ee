//! Readiness of everything that an I/O thread waits for.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use shoal_net::{Event, EventFd, Interest, Poller, WakeSocket};

const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

fn tokens(poller: &Poller, timeout: Option<Duration>) -> Vec<u64> {
    let mut events = Vec::new();
    poller.wait(&mut events, timeout).unwrap();
    events.sort_by_key(|event| event.token);
    events.into_iter().map(|event| event.token).collect()
}

#[test]
fn each_source_has_its_token() {
    let poller = Poller::new().unwrap();
    let (event, (socket, name)) = (EventFd::new().unwrap(), WakeSocket::bind().unwrap());
    let (mut a, b) = UnixStream::pair().unwrap();
    poller.add(&event, 1, Interest::Read).unwrap();
    poller.add(&socket, 2, Interest::Read).unwrap();
    poller.add(&b, u64::MAX, Interest::Read).unwrap();
    assert!(tokens(&poller, Some(Duration::ZERO)).is_empty());
    event.kick();
    event.kick();
    let (peer, _) = WakeSocket::bind().unwrap();
    peer.wake(&name).unwrap();
    a.write_all(b"x").unwrap();
    assert_eq!(tokens(&poller, LIMIT), [1, 2, u64::MAX]);
    assert!(event.drain() && !event.drain());
    assert!(socket.drain());
    poller.delete(&b).unwrap();
    assert!(tokens(&poller, Some(Duration::ZERO)).is_empty());
}

#[test]
fn interest_can_change_and_an_end_is_always_told() {
    let poller = Poller::new().unwrap();
    let (a, b) = UnixStream::pair().unwrap();
    poller.add(&b, 1, Interest::Closed).unwrap();
    assert!(tokens(&poller, Some(Duration::ZERO)).is_empty());
    poller.modify(&b, 2, Interest::ReadWrite).unwrap();
    let mut events = Vec::new();
    poller.wait(&mut events, LIMIT).unwrap();
    assert_eq!(events, [Event { token: 2, readable: false, writable: true, closed: false }]);
    poller.modify(&b, 3, Interest::Closed).unwrap();
    drop(a);
    poller.wait(&mut events, LIMIT).unwrap();
    assert!(events[0].token == 3 && events[0].closed);
}

#[test]
fn a_short_time_limit_is_kept_finely() {
    let poller = Poller::new().unwrap();
    let limit = Duration::from_micros(200);
    let took = || {
        let start = Instant::now();
        assert!(tokens(&poller, Some(limit)).is_empty());
        start.elapsed()
    };
    // Rounded to milliseconds, none would be so quick; what else runs on the machine makes most of them slower.
    let fastest = (0..1_000).map(|_| took()).find(|took| *took < Duration::from_millis(1));
    assert!(fastest.is_some_and(|took| took >= limit), "{fastest:?}");
}

#[test]
fn a_kick_from_another_thread_ends_a_wait() {
    let poller = Poller::new().unwrap();
    let event = Arc::new(EventFd::new().unwrap());
    poller.add(&*event, 5, Interest::Read).unwrap();
    let kicker = thread::spawn({
        let event = event.clone();
        move || {
            thread::sleep(Duration::from_millis(20));
            event.kick();
        }
    });
    assert_eq!(tokens(&poller, None), [5]);
    kicker.join().unwrap();
}
