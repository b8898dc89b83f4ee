//! Runs a recorded trace through a fresh core: equal events at equal times must give equal orders.
use shoal_owner::{Event, Order, Owner};
use shoal_types::Address;

/// What went wrong in a replay or in reading a trace.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The core ordered something else than it did when the trace was recorded.
    #[error("event {at} ({event:?}) gave {got:?}, was {expected:?}")]
    Differs {
        /// Which event, from 0.
        at: usize,
        /// The event.
        event: Box<Event>,
        /// Orders recorded.
        expected: Vec<Order>,
        /// Orders now.
        got: Vec<Order>,
    },
    /// The two lists don't belong together.
    #[error("{events} events and {orders} lists of orders")]
    Lengths {
        /// How many events.
        events: usize,
        /// How many lists of orders.
        orders: usize,
    },
    /// The file isn't a trace of this version.
    #[error("record {at} of the trace cannot be read")]
    Record {
        /// Which record, from 0.
        at: usize,
    },
}

/// A recorded run of one process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// (now, event).
    pub events: Vec<(u64, Event)>,
    /// What each event gave.
    pub orders: Vec<Vec<Order>>,
}

impl Trace {
    /// Reads what a process wrote with `SHOAL_TRACE`: records of `[length u32 little-endian][postcard]`, its address, then
    /// by turns an event and its orders. A cut-off end is left out; an empty trace has no address.
    pub fn read(mut bytes: &[u8]) -> Result<(Option<Address>, Self), ReplayError> {
        let mut trace = Self::default();
        let me = take(&mut bytes).map(postcard::from_bytes).transpose().map_err(|_| ReplayError::Record { at: 0 })?;
        let mut at = 0;
        while let Some(record) = take(&mut bytes) {
            let bad = |_| ReplayError::Record { at: at + 1 };
            if at % 2 == 0 {
                trace.events.push(postcard::from_bytes(record).map_err(bad)?);
            } else {
                trace.orders.push(postcard::from_bytes(record).map_err(bad)?);
            }
            at += 1;
        }
        trace.events.truncate(trace.orders.len());
        Ok((me, trace))
    }
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *bytes = rest;
    Some(record)
}

/// Feeds the events to the core of a process `me` and compares what it orders.
pub fn replay(me: Address, trace: &[(u64, Event)], expect: &[Vec<Order>]) -> Result<(), ReplayError> {
    if trace.len() != expect.len() {
        return Err(ReplayError::Lengths { events: trace.len(), orders: expect.len() });
    }
    let mut owner = Owner::new(me);
    for (at, ((now, event), expected)) in trace.iter().zip(expect).enumerate() {
        let mut got = Vec::new();
        owner.handle(*now, event.clone(), &mut got);
        if got != *expected {
            let (event, expected) = (Box::new(event.clone()), expected.clone());
            return Err(ReplayError::Differs { at, event, expected, got });
        }
    }
    Ok(())
}
