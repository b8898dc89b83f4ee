//! The sans-IO directory of the cluster: jobs, nodes, actors and their names, keys and values.
//!
//! One door: [`Gcs::handle`] takes a past fact and appends orders. Whoever runs the core carries them out in their
//! order and feeds what comes of them back; [`Order::Store`] comes before whatever may only be told once it is stored,
//! and that waits for [`Event::Stored`]. Equal events give equal orders; nothing here reads a clock.
//!
//! ```
//! use shoal_gcs::{Ask, Event, Gcs, Order};
//! use shoal_types::WorkerId;
//!
//! let mut gcs = Gcs::new();
//! let mut orders = Vec::new();
//! let ask = Ask { client: WorkerId([1; 16]), req: 7 };
//! gcs.handle(Event::KvPut { ask, key: b"k".to_vec(), value: b"v".to_vec() }, &mut orders);
//! let Order::Store { write, .. } = orders.remove(0) else { panic!("a write is an order") };
//! assert!(orders.is_empty());
//! gcs.handle(Event::Stored(write), &mut orders);
//! assert!(matches!(orders[0], Order::Answer { ask: Ask { req: 7, .. }, .. }));
//! ```
//!
//! - GCS-1 a name belongs to at most one living actor of its namespace; whoever registers a second one is told the first.
//! - GCS-2 every life of an actor has a number; what an older life says is ignored.
//! - GCS-3 a watcher hears of each life at most once that it is up, and of the end exactly once; who begins to watch
//!   between two lives, or after the end, hears that at once. A creator watches by its own word, too (ACTOR-6).
//! - GCS-4 an actor that is not detached ends with its job, and with its creator when that crashes.
//! - GCS-5 a dead actor keeps its cause, and neither arguments nor class.
//! - GCS-6 an actor that may be restarted starts again at once; one whose lives were shorter than ten seconds several times
//!   in a row rests before the next, each time longer ([`shoal_types::backoff`]).
//! - GCS-7 one that is killed is dead at once; watchers are told which process is still to end. What its constructor keeps
//!   until then is told to its creator also after the end.
//! - GCS-8 one that has ended in order is dead while its process lives on for what it owns. That process still watches: it
//!   may have calls to others whose results are waited for.
#![deny(missing_docs)]

mod actor;
mod api;
mod directory;
mod end;
mod life;
mod texts;

pub use api::{ActorInfo, Ask, Event, Exit, Order, Record};
pub use directory::Gcs;
