//! The PyO3 module `shoal._core`: the only crate that knows Python.
//!
//! - PY-1 no lock of the runtime is held while Python code runs, and nobody who holds one wants the GIL: so a thread
//!   may take a lock of the runtime with the GIL.
//! - PY-2 every wait is without the GIL, but for at most 200 µs (HOLD-2), and looks for signals when it is interrupted.
//! - PY-3 objects of an older session, and of the parent in a forked child, are inert: their release does nothing,
//!   their use raises one sentence.
mod actor;
mod buffers;
mod codec;
mod current;
mod errors;
mod events;
mod hold;
mod hooks;
mod look;
mod objects;
mod query;
mod refs;
mod session;
mod sites;
mod stream;
mod template;
mod title;
mod waits;
mod worker;

#[pyo3::pymodule(name = "_core", gil_used = true)]
mod core_module {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::actor::{ActorRef, actor_from_bytes, create_actor, get_actor, kill_actor, own_actor};
    #[pymodule_export]
    use crate::buffers::BufferView;
    #[pymodule_export]
    use crate::current::{current, interrupt_wanted, runs_loop};
    #[pymodule_export]
    use crate::events::{events, watch};
    #[pymodule_export]
    use crate::hooks::set_hooks;
    #[pymodule_export]
    use crate::look::{look, tell_stacks, tell_stacks_on, watch_folder};
    #[pymodule_export]
    use crate::objects::{cancel, get, get_now, is_of_call, is_ready, lose, put, wait_mixed};
    #[pymodule_export]
    use crate::query::{kv_get, kv_put, named_actors, nodes, status, stop_instance};
    #[pymodule_export]
    use crate::refs::{ObjectRef, ref_from_bytes};
    #[pymodule_export]
    use crate::session::{
        connect_driver, connect_tool, connect_worker, connected, disconnect, forked, node_main, session,
    };
    #[pymodule_export]
    use crate::sites::{give_hints, record_sites};
    #[pymodule_export]
    use crate::stream::{StreamRef, stream_from_bytes};
    #[pymodule_export]
    use crate::template::Template;
    #[pymodule_export]
    use crate::title::{begin_output, set_title};
    #[pymodule_export]
    use crate::waits::wait;
    #[pymodule_export]
    use crate::worker::{Call, Failed, exit_actor, leave, run_worker, saves_at_end};

    #[pymodule_init]
    fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
        let os = m.py().import("os")?;
        let kwargs = pyo3::types::PyDict::new(m.py());
        kwargs.set_item("after_in_child", m.getattr("forked")?)?;
        os.call_method("register_at_fork", (), Some(&kwargs))?;
        Ok(())
    }
}
