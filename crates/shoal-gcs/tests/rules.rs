//! One test a rule of the directory.
mod support;
use shoal_gcs::{Event, Exit, Order};
use shoal_proto::control::Response;
use shoal_types::{ActorSpec, ErrorKind, JobId, RefWire};
use support::*;

#[test]
fn an_actor_goes_up_step_by_step() {
    let mut w = World::new();
    assert_eq!(w.register(1, spec(1, "")), Response::Registered(Ok(())));
    assert_eq!(w.state(1), "PENDING");
    assert!(w.args(1).contains(&Order::WantWorker { actor: actor(1), job: JobId(1) }));
    let orders = w.assign(1, 20);
    assert!(matches!(&orders[..], [Order::Become { args, incarnation: 0, .. }] if args == &[5]));
    assert_eq!(w.state(1), "PENDING");
    w.started(1, 20, 0, None);
    assert_eq!((w.state(1), w.heard(1, 1).up), ("ALIVE", vec![0]));
}

#[test]
fn a_name_is_one_living_actor_s() {
    let mut w = World::new();
    w.up(spec(1, "n"), 20);
    let Response::Registered(Err(taken)) = w.register(2, spec(2, "n")) else { panic!("the name is taken") };
    assert_eq!(taken.by.id, actor(1));
    assert_eq!(w.register(2, ActorSpec { namespace: "other".into(), ..spec(3, "n") }), Response::Registered(Ok(())));
    w.lose(20, crash());
    assert_eq!(w.register(2, spec(4, "n")), Response::Registered(Ok(())));
    let ask = w.ask(9);
    w.go(Event::NameAsked { ask, name: "n".into(), namespace: "ns".into() });
    assert!(matches!(w.answer(ask), Response::Actor(Some(s)) if s.id == actor(4)));
    let ask = w.ask(9);
    w.go(Event::NamesAsked(ask));
    let names = vec![("ns".into(), "n".into()), ("other".into(), "n".into())];
    assert_eq!(w.answer(ask), Response::NamedActors(names));
}

#[test]
fn a_creator_hears_that_another_killed_its_actor_before_it_knew_it() {
    let mut w = World::new();
    assert_eq!(w.register_unheard(1, spec(1, "n")), Response::Registered(Ok(())));
    let ask = w.ask(2);
    w.go(Event::NameAsked { ask, name: "n".into(), namespace: "ns".into() });
    w.go(Event::Kill { ask, actor: actor(1), no_restart: true });
    w.go(Event::Watch { actor: actor(1), client: client(1) });
    assert!(w.heard(1, 1).dead.is_some_and(|e| e.message.contains("kill")), "ACTOR-6");
    assert!(w.args(1).is_empty(), "it is not started");
}

#[test]
fn a_constructor_s_error_is_the_cause_and_its_text_and_pickle_travel() {
    let mut w = World::new();
    w.register(1, spec(1, ""));
    w.args(1);
    w.assign(1, 20);
    w.started(1, 20, 0, Some(raised("ValueError: no")));
    let error = w.heard(1, 1).dead.expect("its creator is told");
    assert_eq!((error.kind, error.pickled, error.actor), (ErrorKind::ActorDied, vec![9], Some(actor(1))));
    assert!(error.message.contains("constructor raised") && error.message.contains("ValueError: no"));
    assert_eq!(w.killed, [client(20)]);
}

#[test]
fn a_failed_argument_kills_it_before_it_lived() {
    let mut w = World::new();
    w.register(1, spec(1, ""));
    w.go(Event::ArgsReady { actor: actor(1), args: vec![], error: Some(raised("KeyError: k")) });
    assert!(w.cause(1).contains("an argument of its constructor failed: KeyError: k"));
    assert!(w.wanted.is_empty());
}

#[test]
fn it_is_restarted_as_often_as_allowed_with_its_arguments() {
    let mut w = World::new();
    w.up(ActorSpec { max_restarts: 1, ..spec(1, "") }, 20);
    let orders = w.lose(20, crash());
    let told = |order: Option<&Order>| {
        matches!(order, Some(Order::TellRestarting { incarnation: 0, error, .. })
        if error.kind == ErrorKind::ActorUnavailable && error.message.contains("SIGKILL"))
    };
    assert!(told(orders.last()));
    let late = Event::Watch { actor: actor(1), client: client(2) };
    assert!(told(w.go(late.clone()).last()), "who begins to watch now hears it, too");
    assert!(w.go(late).is_empty());
    assert_eq!(w.state(1), "RESTARTING");
    let orders = w.assign(1, 21);
    assert!(matches!(&orders[..], [Order::Become { args, incarnation: 1, .. }] if args == &[5]));
    w.started(1, 21, 0, None);
    assert_eq!(w.state(1), "RESTARTING", "an older life says nothing");
    w.started(1, 21, 1, None);
    assert_eq!(w.heard(1, 1).up, [0, 1]);
    w.lose(21, crash());
    assert_eq!(w.state(1), "DEAD");
    assert!(w.cause(1).contains("actor Probe died: worker process 7 was killed by signal 9"));
}

#[test]
fn minus_one_is_without_limit() {
    let mut w = World::new();
    w.up(ActorSpec { max_restarts: -1, ..spec(1, "") }, 20);
    for life in 1..50u8 {
        w.lose(19 + life, crash());
        w.rested(1);
        w.assign(1, 20 + life);
        w.started(1, 20 + life, u32::from(life), None);
    }
    assert_eq!((w.state(1), w.heard(1, 1).up.len()), ("ALIVE", 50));
}

#[test]
fn an_actor_whose_lives_are_short_rests_ever_longer_before_the_next() {
    let mut w = World::new();
    w.up(ActorSpec { max_restarts: -1, ..spec(1, "") }, 20);
    let wants = |orders: &[Order]| orders.iter().any(|o| matches!(o, Order::WantWorker { .. }));
    assert!(wants(&w.lose(20, crash())), "the first at once");
    for life in 1..12u8 {
        w.assign(1, 20 + life);
        let orders = w.lose(20 + life, crash());
        let how = matches!(orders[..], [Order::Rest { .. }, Order::TellRestarting { .. }]);
        assert!(how, "how long it rests is known when it is told: {orders:?}");
        assert_eq!(w.state(1), "RESTARTING");
        let (_, incarnation, micros) = *w.rests.last().unwrap();
        let most = 5_000_000.min(50_000 << (life - 1));
        assert!(incarnation == u32::from(life) + 1 && (most / 2..=most).contains(&micros), "{micros} of {most}");
        let late = Event::Rested { actor: actor(1), incarnation: incarnation - 1 };
        assert!(w.go(late).is_empty(), "the word of an older rest");
        assert!(wants(&w.rested(1)) && w.rested(1).is_empty());
    }
    w.assign(1, 40);
    assert!(wants(&w.lose(40, Exit { lived: 10_000_000, ..crash() })), "a long life ends the row");
}

#[test]
fn an_actor_that_is_killed_while_it_rests_wants_nothing_more() {
    let mut w = World::new();
    w.up(ActorSpec { max_restarts: -1, ..spec(1, "") }, 20);
    w.lose(20, crash());
    w.assign(1, 21);
    w.lose(21, crash());
    let ask = w.ask(1);
    let orders = w.go(Event::Kill { ask, actor: actor(1), no_restart: true });
    assert!(!orders.iter().any(|o| matches!(o, Order::DropWant(_))) && w.state(1) == "DEAD");
    assert!(w.rested(1).is_empty());
}

#[test]
fn a_kill_is_for_good_or_for_this_life() {
    let mut w = World::new();
    w.up(ActorSpec { max_restarts: 1, ..spec(1, "") }, 20);
    let ask = w.ask(1);
    w.go(Event::Kill { ask, actor: actor(1), no_restart: false });
    assert_eq!((w.answer(ask), w.state(1)), (Response::Done, "ALIVE"));
    assert_eq!(w.killed, [client(20)]);
    w.lose(20, crash());
    assert_eq!(w.state(1), "RESTARTING");
    let ask = w.ask(1);
    w.go(Event::Kill { ask, actor: actor(1), no_restart: true });
    assert_eq!((w.state(1), w.wanted.len()), ("DEAD", 0));
    assert!(w.heard(1, 1).dead.is_some());
}

#[test]
fn by_rays_rule_a_named_one_ends_with_its_handles() {
    let mut w = World::new();
    w.up(ActorSpec { named_lives_on: false, ..spec(1, "named") }, 20);
    w.go(Event::OutOfScope(actor(1)));
    assert_eq!(w.ended, [client(20)]);
}

#[test]
fn without_handles_it_ends_unless_named_or_detached() {
    let mut w = World::new();
    w.up(spec(1, ""), 20);
    w.up(spec(2, "named"), 21);
    w.up(ActorSpec { detached: true, ..spec(3, "") }, 22);
    w.register(1, spec(4, ""));
    for n in 1..5 {
        w.go(Event::OutOfScope(actor(n)));
    }
    assert_eq!(w.ended, [client(20)]);
    w.lose(20, goodbye());
    assert!(w.cause(1).contains("every handle of it is gone"));
    w.args(4);
    w.assign(4, 23);
    w.started(4, 23, 0, None);
    assert_eq!(w.ended, [client(20), client(23)], "one that was not up yet ends when it is");
}

#[test]
fn an_actor_that_wishes_to_end_is_not_restarted() {
    let mut w = World::new();
    w.up(ActorSpec { max_restarts: -1, ..spec(1, "") }, 20);
    w.go(Event::ExitWished { worker: client(20), actor: actor(1), reason: "exit_actor() was called".into() });
    assert_eq!(w.state(1), "ALIVE");
    w.lose(20, goodbye());
    assert!(w.state(1) == "DEAD" && w.cause(1).contains("exit_actor() was called"));
}

#[test]
fn a_crashed_creator_takes_its_actors_a_clean_one_does_not() {
    let mut w = World::new();
    w.up(spec(1, ""), 20);
    w.up(ActorSpec { detached: true, ..spec(2, "d") }, 21);
    let orders = w.lose(1, crash());
    assert!(orders.contains(&Order::Kill { worker: client(20), why: w.cause(1) }));
    assert!(w.cause(1).contains(&format!("its creator, process {}, died", client(1))));
    assert_eq!(w.state(2), "ALIVE");
    let mut w = World::new();
    w.up(spec(1, ""), 20);
    w.lose(1, goodbye());
    assert_eq!(w.state(1), "ALIVE");
    w.go(Event::JobEnded { job: JobId(1), exit: goodbye() });
    assert_eq!(w.state(1), "DEAD");
}

#[test]
fn a_late_watcher_hears_what_is_so() {
    let mut w = World::new();
    w.register(1, spec(1, ""));
    w.go(Event::Watch { actor: actor(1), client: client(5) });
    assert!(w.heard(5, 1).up.is_empty());
    w.args(1);
    w.assign(1, 20);
    w.started(1, 20, 0, None);
    w.go(Event::Watch { actor: actor(1), client: client(6) });
    w.go(Event::Watch { actor: actor(1), client: client(6) });
    assert_eq!((w.heard(5, 1).up, w.heard(6, 1).up), (vec![0], vec![0]));
    w.lose(20, crash());
    w.go(Event::Watch { actor: actor(1), client: client(7) });
    assert!([5, 6, 7].iter().all(|who| w.heard(*who, 1).dead.is_some()));
    w.go(Event::Watch { actor: actor(99), client: client(7) });
    assert!(w.heard(7, 99).dead.unwrap().message.contains("not known here"));
}

#[test]
fn only_its_creator_is_told_which_refs_it_keeps() {
    let mut w = World::new();
    w.register(1, spec(1, ""));
    w.go(Event::Watch { actor: actor(1), client: client(5) });
    w.args(1);
    w.assign(1, 20);
    let kept: Vec<RefWire> = vec![spec(1, "").handle];
    let orders =
        w.go(Event::Started { worker: client(20), actor: actor(1), incarnation: 0, error: None, kept: kept.clone() });
    let told = |who| {
        orders.iter().find_map(|o| match o {
            Order::TellUp { client: c, kept, .. } if *c == client(who) => Some(kept.clone()),
            _ => None,
        })
    };
    assert_eq!((told(1), told(5)), (Some(kept), Some(vec![])));
}

#[test]
fn who_hears_that_an_actor_is_dead_hears_which_process_is_still_to_end() {
    let told = |orders: &[Order]| {
        orders.iter().find_map(|o| match o {
            Order::TellDead { dying, .. } => Some(*dying),
            _ => None,
        })
    };
    let mut w = World::new();
    w.up(spec(1, ""), 20);
    let ask = w.ask(9);
    let orders = w.go(Event::Kill { ask, actor: actor(1), no_restart: true });
    assert_eq!((told(&orders), &w.killed[..]), (Some(Some(client(20))), &[client(20)][..]));
    let late = w.go(Event::Watch { actor: actor(1), client: client(5) });
    assert_eq!(told(&late), Some(None), "who had no call in it has lent it nothing");
    w.up(spec(2, ""), 21);
    assert_eq!(told(&w.lose(21, crash())), Some(None), "it is gone");
    w.up(spec(3, ""), 22);
    assert_eq!(told(&w.lose(1, crash())), None, "its creator alone would hear, and is gone");
    assert!(w.killed.contains(&client(22)));
}

#[test]
fn who_has_ended_in_order_and_lives_on_still_hears_of_those_that_it_watches() {
    let mut w = World::new();
    w.up(spec(1, ""), 20);
    w.up(spec(2, ""), 21);
    w.go(Event::Watch { actor: actor(2), client: client(20) });
    let exit = Exit { text: "ended in order".into(), clean: true, lived: 0 };
    let orders = w.go(Event::ClientLingers { client: client(20), exit });
    let news = |o: &Order| matches!(o, Order::TellDead { dying: Some(d), lingers: true, .. } if *d == client(20));
    assert!(orders.iter().any(news), "{orders:?}");
    assert_eq!((w.state(1), w.state(2)), ("DEAD", "ALIVE"));
    w.lose(21, crash());
    assert!(w.heard(20, 2).dead.is_some(), "GCS-8: it waits for ever");
    w.lose(20, crash());
    assert!(w.killed.is_empty(), "it was asked for nothing: {:?}", w.killed);
    assert!(w.heard(20, 1).dead.is_none(), "it watches others");
}

#[test]
fn a_killed_actor_s_constructor_still_says_what_it_keeps() {
    let kept: Vec<RefWire> = vec![spec(1, "").handle];
    let started =
        |error| Event::Started { worker: client(20), actor: actor(1), incarnation: 0, error, kept: kept.clone() };
    let told = |orders: &[Order]| match orders {
        [.., Order::TellUp { client: who, kept, .. }] => Some((*who, kept.clone())),
        _ => None,
    };
    for raises in [false, true] {
        let mut w = World::new();
        w.register(1, spec(1, ""));
        w.args(1);
        w.assign(1, 20);
        if !raises {
            let ask = w.ask(9);
            w.go(Event::Kill { ask, actor: actor(1), no_restart: true });
        }
        let orders = w.go(started(raises.then(|| raised("ValueError: no"))));
        assert_eq!(told(&orders), Some((client(1), kept.clone())));
        assert_eq!(w.state(1), "DEAD");
    }
}

#[test]
fn an_answer_that_depends_on_a_write_waits_for_it() {
    let mut gcs = shoal_gcs::Gcs::new();
    let mut out = Vec::new();
    let ask = shoal_gcs::Ask { client: client(1), req: 1 };
    gcs.handle(Event::Register { ask, job: JobId(1), spec: Box::new(spec(1, "")) }, &mut out);
    let [Order::Store { write, .. }] = out[..] else { panic!("only the write: {out:?}") };
    out.clear();
    gcs.handle(Event::Stored(write), &mut out);
    assert_eq!(out, [Order::Answer { ask, body: Response::Registered(Ok(())) }]);
}
