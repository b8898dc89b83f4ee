//! A recorded run: with `SHOAL_TRACE=FOLDER` every event of the core and the orders that it gave go to a file, which
//! the simulator replays (`shoal_sim::replay`). The first record is the process's address.
use shoal_owner::{Event, Order};
use shoal_types::Address;
use std::fs::File;
use std::io::{BufWriter, Write};

pub(crate) struct Trace(BufWriter<File>);

impl Trace {
    pub(crate) fn from_environment(me: Address) -> Option<Self> {
        let folder = std::env::var_os("SHOAL_TRACE")?;
        let path = std::path::Path::new(&folder).join(format!("{}.trace", std::process::id()));
        match File::create(&path) {
            Ok(file) => {
                let mut trace = Self(BufWriter::new(file));
                trace.record(&me);
                Some(trace)
            }
            Err(error) => {
                shoal_net::say!("SHOAL_TRACE: cannot write {}: {error}", path.display());
                None
            }
        }
    }

    /// `[length u32][postcard (now, event)]`
    pub(crate) fn event(&mut self, now: u64, event: &Event) {
        self.record(&(now, event));
    }

    /// `[length u32][postcard orders]`, after its event.
    pub(crate) fn orders(&mut self, orders: &[Order]) {
        self.record(&orders);
        let _ = self.0.flush();
    }

    fn record<T: serde::Serialize>(&mut self, item: &T) {
        let bytes = postcard::to_stdvec(item).expect("events are plain data");
        let length = (bytes.len() as u32).to_le_bytes();
        // A full disk ends the trace, not the program: what is there still replays.
        let _ = self.0.write_all(&length).and_then(|()| self.0.write_all(&bytes));
    }
}
