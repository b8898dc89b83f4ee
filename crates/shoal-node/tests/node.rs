//! The daemon as its clients see it, with real processes.
mod support;
use shoal_proto::PROTOCOL;
use shoal_proto::control::{Request, Response, Role, ToClient, ToNode};
use shoal_types::ErrorKind;
use support::{Instance, Link, driver_role, play_role};

#[test]
fn role() {
    play_role();
}

fn is_died(msg: &ToClient) -> bool {
    matches!(msg, ToClient::WorkerDied { .. })
}

/// The text and the intent of the next death.
fn death(link: &mut Link) -> (String, bool) {
    match link.until("death", is_died).pop() {
        Some(ToClient::WorkerDied { error, intended, .. }) => {
            assert_eq!(error.kind, ErrorKind::WorkerCrashed);
            (error.message, intended)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lane_is_open_at_both_ends_before_its_grant() {
    let mut it = Instance::joined("grant");
    it.driver.want(1, 1, 0);
    let seen = it.driver.until("grant", |m| matches!(m, ToClient::Granted { .. }));
    let lane = |m: &ToClient| match m {
        ToClient::LaneOpened { lane, caller: true, .. } => Some(*lane),
        _ => None,
    };
    let Some(ToClient::Granted { lane: granted, .. }) = seen.last() else { panic!() };
    assert_eq!(seen.iter().find_map(lane), Some(*granted));
    it.driver.until("the worker's word", |m| matches!(m, ToClient::Relayed { body, .. } if body == b"lane"));
    it.driver.say(&ToNode::Bye);
    it.ends();
}

#[test]
fn what_a_worker_said_before_it_was_killed_comes_before_its_death_and_its_lanes_end_after() {
    let mut it = Instance::joined("order");
    it.driver.want(1, 1, 0);
    let worker = it.driver.granted();
    it.driver.tell(worker, "talk-and-die 3000");
    let seen = it.driver.until("lane's end", |m| matches!(m, ToClient::LaneClosed(_)));
    let said: Vec<_> = seen
        .iter()
        .filter_map(|m| match m {
            ToClient::Relayed { body, .. } if body != b"lane" => Some(String::from_utf8(body.clone()).unwrap()),
            _ => None,
        })
        .collect();
    assert_eq!(said, (0..3000).map(|i| i.to_string()).collect::<Vec<_>>());
    let position = |f: fn(&ToClient) -> bool| seen.iter().rposition(f).unwrap();
    let (last_word, died) = (position(|m| matches!(m, ToClient::Relayed { .. })), position(is_died));
    assert!(last_word < died && died < seen.len() - 1);
    let Some(ToClient::WorkerDied { error, intended, .. }) = seen.get(died) else { panic!() };
    assert!(error.message.contains("(probe) was killed by signal 9 (SIGKILL)") && !intended, "{}", error.message);
}

#[test]
fn a_death_is_told_with_code_reason_and_last_lines() {
    let mut it = Instance::joined("death");
    it.driver.want(1, 1, 0);
    let worker = it.driver.granted();
    it.driver.tell(worker, "print the last\\nlines");
    it.driver.until("print", |m| matches!(m, ToClient::Relayed { body, .. } if body == b"printed"));
    it.driver.tell(worker, "exit 3");
    let (text, intended) = death(&mut it.driver);
    assert!(text.contains("exited with code 3\nits last lines of output:") && !intended, "{text}");
    assert!(text.contains("\n  the last\n  lines"), "{text}");
    it.driver.want(1, 1, 1);
    let worker = it.driver.granted();
    it.driver.tell(worker, "leave the task called sys.exit(4)");
    let (text, intended) = death(&mut it.driver);
    assert!(text.ends_with("exited with code 4: the task called sys.exit(4)") && intended, "{text}");
    it.driver.tell(worker, "too late");
    assert_eq!(death(&mut it.driver), (text, true), "who speaks to the dead is told again");
}

#[test]
fn a_worker_that_hangs_up_and_lives_on_is_killed() {
    let mut it = Instance::joined("hangup");
    it.driver.want(1, 1, 0);
    let worker = it.driver.granted();
    it.driver.tell(worker, "hang-up");
    let (text, _) = death(&mut it.driver);
    assert!(text.ends_with("it closed its connection to the daemon"), "{text}");
    it.driver.want(1, 1, 1);
    it.driver.granted();
}

#[test]
fn lines_arrive_whole_in_order_and_in_a_file() {
    let mut it = Instance::joined("logs");
    it.driver.want(1, 1, 0);
    let worker = it.driver.granted();
    it.driver.tell(worker, "print one\\ntw");
    it.driver.tell(worker, "print o\\nthree\\n");
    let (mut lines, mut pid) = (Vec::new(), 0);
    while lines.last().is_none_or(|l| l != "three") {
        if let Some(ToClient::Logs(new)) = it.driver.next() {
            // Before its greeting a worker has no name.
            assert!(new.iter().all(|l| !l.stderr && (l.name == "probe" || l.name.is_empty())));
            pid = new[0].pid;
            lines.extend(new.into_iter().map(|l| String::from_utf8(l.line).unwrap()));
        }
    }
    let ours = lines.iter().position(|l| l == "one").expect("the first line");
    assert_eq!(lines[ours..], ["one", "two", "three"]);
    let file = std::fs::read_to_string(it.session.join(format!("logs/worker-{pid}.out"))).unwrap();
    assert!(file.ends_with("one\ntwo\nthree\n"));
}

#[test]
fn a_driver_that_does_not_read_loses_logs_and_nothing_else() {
    let mut it = Instance::joined("flood");
    it.driver.want(1, 1, 0);
    let worker = it.driver.granted();
    let lines = 200_000;
    it.driver.tell(worker, &format!("flood {lines}"));
    // The worker is done before anything is read here: its pipe is always emptied.
    it.logged(lines * 100);
    let seen = it.driver.until("its word", |m| matches!(m, ToClient::Relayed { body, .. } if body == b"flooded"));
    let got: usize = seen.iter().map(|m| if let ToClient::Logs(new) = m { new.len() } else { 0 }).sum();
    assert!(got > 1000 && got < lines, "{got}");
    let whole = |m: &ToClient| !matches!(m, ToClient::Logs(new) if new.iter().any(|l| l.line.len() > 120));
    assert!(seen.iter().all(whole));
}

#[test]
fn who_speaks_another_protocol_is_refused_in_a_sentence() {
    let mut it = Instance::start("protocol");
    let answer = it.driver.greet(PROTOCOL + 1, driver_role());
    let ToClient::Refused(why) = answer else { panic!("{answer:?}") };
    assert!(why.contains("use one version of shoal"), "{why}");
    assert!(it.driver.next().is_none());
}

#[test]
fn who_does_not_greet_is_cut_off_and_others_are_served() {
    let mut it = Instance::joined("nonsense");
    let path = it.session.join("node.sock");
    let mut rude = Link::new(shoal_net::connect(&path).unwrap());
    rude.say(&ToNode::Blocked);
    assert!(rude.next().is_none());
    let mut stranger = Link::new(shoal_net::connect(&path).unwrap());
    let answer = stranger.greet(PROTOCOL, Role::Worker { start: 77 });
    assert_eq!(answer, ToClient::Refused("nobody waits for this worker".into()));
    it.driver.ask(Request::Sync);
    it.driver.until("answer", |m| matches!(m, ToClient::Response { body: Response::Done, .. }));
}

#[test]
fn space_is_leased_and_a_full_arena_says_so() {
    let mut it = Instance::joined("arena");
    it.driver.ask(Request::LeaseChunk(1 << 20));
    let seen = it.driver.until("chunk", |m| matches!(m, ToClient::Response { .. }));
    let Some(ToClient::Response { body: Response::Chunk { offset, generation, .. }, .. }) = seen.last() else {
        panic!("{seen:?}")
    };
    it.driver.say(&ToNode::ReturnChunks(vec![(*offset, *generation)]));
    it.driver.ask(Request::LeaseChunk(1 << 40));
    let seen = it.driver.until("answer", |m| matches!(m, ToClient::Response { .. }));
    let Some(ToClient::Response { body: Response::Full(full), .. }) = seen.last() else { panic!("{seen:?}") };
    assert!(full.why.contains("object store full"), "{full:?}");
}

#[test]
fn what_never_fits_is_an_error_after_the_grace() {
    let mut it = Instance::joined("infeasible");
    it.driver.want(50, 1, 0);
    let seen = it.driver.until("refusal", |m| matches!(m, ToClient::Unschedulable { .. }));
    let Some(ToClient::Unschedulable { key: 1, error }) = seen.last() else { panic!("{seen:?}") };
    assert!(error.message.contains("needs 50 CPU, the node has 2"), "{}", error.message);
}

#[test]
fn a_stop_is_answered_and_then_the_daemon_ends() {
    let mut it = Instance::joined("stop");
    it.driver.want(1, 2, 0);
    it.driver.granted();
    it.driver.ask(Request::Stop);
    it.driver.until("answer", |m| matches!(m, ToClient::Response { body: Response::Done, .. }));
    it.ends();
}

#[test]
fn a_driver_that_closes_ends_its_instance() {
    let it = Instance::joined("close");
    rustix::net::shutdown(&it.driver.sock, rustix::net::Shutdown::Write).unwrap();
    it.ends();
}

#[test]
fn who_waits_for_what_is_never_free_is_told_why() {
    let mut it = Instance::joined("warn");
    it.driver.want(50, 3, 0);
    let seen = it.driver.until("warning", |m| matches!(m, ToClient::Waits { .. }));
    let Some(ToClient::Waits { key, text }) = seen.last() else { panic!() };
    assert_eq!(*key, 1);
    let more = " s, and running work will not end that: no node can ever run it: needs 50 CPU";
    assert!(text.starts_with("for a worker for ") && text.contains(more), "{text}");
    assert!(text.contains("it is an error after 1 s; ask for less"), "{text}");
    it.driver.say(&ToNode::Bye);
    it.ends();
}

#[test]
fn a_look_gathers_who_answers_in_time_and_names_who_is_silent() {
    let mut it = Instance::joined("look");
    it.driver.want(1, 1, 0);
    it.driver.granted();
    let wish = Some(shoal_proto::look::Wish { tasks: true, limit: 10, ..Default::default() });
    let begun = std::time::Instant::now();
    it.driver.ask(Request::Look { wish, patience: 3_000_000 });
    let seen = it.driver.until("look", |m| matches!(m, ToClient::Look { .. }));
    let Some(ToClient::Look { look, .. }) = seen.last() else { panic!() };
    it.driver.say(&ToNode::Looked { look: *look, report: b"mine".to_vec() });
    it.driver.say(&ToNode::Looked { look: *look, report: b"twice".to_vec() });
    it.driver.say(&ToNode::Looked { look: 99, report: b"nobody asked".to_vec() });
    let is_answer = |m: &ToClient| matches!(m, ToClient::Response { body: Response::Looks(_), .. });
    let Some(ToClient::Response { body: Response::Looks(nodes), .. }) = it.driver.until("answer", is_answer).pop()
    else {
        panic!()
    };
    assert!(begun.elapsed() >= std::time::Duration::from_secs(3));
    let [node] = &nodes[..] else { panic!("{nodes:?}") };
    let said = node.clients.iter().find(|c| c.kind == "driver").unwrap();
    assert_eq!((said.report.as_deref(), said.silent.as_str()), (Some(&b"mine"[..]), ""));
    let silent: Vec<_> = node.clients.iter().filter(|c| c.kind == "worker").collect();
    assert!(!silent.is_empty() && silent.iter().all(|c| c.report.is_none() && c.silent == "it did not answer in time"));
    let tables: serde_json::Value = serde_json::from_slice(&node.node).unwrap();
    assert_eq!(tables["jobs"][0]["namespace"], "ns");
    it.driver.ask(Request::Look { wish: None, patience: 60_000_000 });
    it.driver.until("answer without asking anybody", is_answer);
    it.driver.say(&ToNode::Bye);
    it.ends();
}
