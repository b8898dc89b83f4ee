use shoal_sim::*;
#[test] fn c() { for kills in [false, true] { let (mut a,mut b,mut c,mut e)=(0,0,0,0); for s in 1..201 { let mut w=World::new(Choices::seeded(s), Options{kills, record:true, ..Options::default()}); for _ in 0..800 {w.step();} let x=w.counts(); a+=x.0;b+=x.1;c+=x.2; e+=w.traces().map(|t|t.1.events.len()).sum::<usize>(); w.finish(); } println!("{a} {b} {c} events {e}"); } }
