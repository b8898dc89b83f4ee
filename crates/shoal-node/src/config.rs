//! What the daemon is started with.
use crate::descriptors;
use serde::Deserialize;
use shoal_net::NetError;
use shoal_store::spill::SpillConfig;
use shoal_store::{Folder, Storage, StoreError};
use shoal_types::Resources;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Made by `shoal.runtime.launch` as JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct NodeConfig {
    /// The session folder; exists, mode 0700, with a folder `logs` in it.
    pub session: PathBuf,
    /// Where to listen.
    pub socket: PathBuf,
    /// The instance ends with its first driver.
    pub owned_by_first_client: bool,
    /// What it has, in 1/10,000.
    pub resources: BTreeMap<String, u64>,
    /// What a worker with GPU number *i* sees as its device.
    #[serde(default)]
    pub gpu_ids: Vec<String>,
    /// Bytes of the arena.
    pub object_store_memory: u64,
    /// Where objects are spilled to; none: into the session folder.
    #[serde(default)]
    pub spill_directories: Vec<PathBuf>,
    /// Most processes that run tasks; unset: by CPUs and memory.
    pub max_workers: Option<usize>,
    /// The host's name.
    pub hostname: String,
    /// "3.11".
    pub python: String,
    /// `zygote.py`.
    pub zygote_script: PathBuf,
    /// The folder that `shoal` is imported from.
    pub package_root: PathBuf,
    /// How the first zygote was started.
    pub start: DriverStart,
    /// What a user may set otherwise (`python/shoal/core/settings.py`).
    #[serde(default)]
    pub settings: Settings,
}

/// Settings of the daemon; names and defaults are those of the table in `python/shoal/core/settings.py`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Bytes of a log file before it begins anew.
    pub log_rotate_bytes: u64,
    /// Old ones that are kept of each.
    pub log_rotate_count: u32,
    /// Its age in seconds before it begins anew, looked at when something is written.
    pub log_rotate_seconds: f64,
    /// Lines of a worker's stream that reach the driver in a second.
    pub log_burst_lines: u64,
    /// Bytes that each process may keep of tasks that are over.
    pub max_lineage_bytes: u64,
    /// The share of memory that may be used before a process is killed.
    pub memory_usage_threshold: f64,
    /// Whether `memory=` is a limit.
    pub enforce_memory: bool,
    /// The shortest time between two looks at it, in seconds; 0: never.
    pub memory_monitor_interval: f64,
    /// Whether objects are spilled.
    pub automatic_object_spilling_enabled: bool,
    /// Share of the arena in use from which on objects are written to disk ahead of need.
    pub object_spilling_threshold: f64,
    /// Share of a file system in use from which on nothing is spilled to it.
    pub local_fs_capacity_threshold: f64,
    /// How long who needs space waits when there is none.
    pub object_store_full_seconds: f64,
    /// After how many seconds a request that never fits is an error; below 0: never.
    pub infeasible_grace: f64,
    /// After how many seconds who waits for what running work won't release is told; below 0: never.
    pub warn_waiting_seconds: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            log_rotate_bytes: 64 << 20,
            log_rotate_count: 3,
            log_rotate_seconds: 86_400.0,
            log_burst_lines: 10_000,
            max_lineage_bytes: 256 << 20,
            memory_usage_threshold: 0.95,
            enforce_memory: false,
            memory_monitor_interval: 0.25,
            automatic_object_spilling_enabled: true,
            object_spilling_threshold: 0.8,
            local_fs_capacity_threshold: 0.95,
            object_store_full_seconds: 10.0,
            infeasible_grace: 30.0,
            warn_waiting_seconds: 10.0,
        }
    }
}

impl Settings {
    pub(crate) fn log_rotate_micros(&self) -> u64 {
        (self.log_rotate_seconds * 1e6) as u64
    }
}

/// What of a driver's start decides which zygote its workers come from (`launch.driver_start`).
#[derive(Clone, Debug, Deserialize)]
pub struct DriverStart {
    /// The interpreter.
    pub executable: String,
    /// Its `sys.prefix`.
    pub prefix: String,
    /// Its options.
    pub flags: Vec<String>,
    /// The driver's environment.
    pub environ: BTreeMap<String, String>,
    /// The job's own runtime environment.
    #[serde(default)]
    pub runtime_env: serde_json::Value,
}

/// The daemon can't start or go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration can't be read. Fatal.
    #[error("configuration: {0}")]
    Config(#[from] serde_json::Error),
    /// A socket or the poller failed. Fatal.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The arena can't be made. Fatal.
    #[error("arena: {0}")]
    Store(#[from] StoreError),
    /// It may open too few files. Fatal.
    #[error(
        "it may open no more than {limit} files (the hard limit, 'ulimit -Hn'); it takes {least} at least, and {worker} \
         for each worker process"
    )]
    FewFiles {
        /// How many it may open.
        limit: u64,
        /// How many it needs to start.
        least: u64,
        /// How many it needs for each worker.
        worker: u64,
    },
    /// The kernel refused. Fatal.
    #[error("{what}: {source}")]
    Os {
        /// The call.
        what: &'static str,
        /// Its error.
        source: std::io::Error,
    },
}

impl NodeError {
    pub(crate) fn os(what: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Os { what, source }
    }
}

impl NodeConfig {
    /// Reads the JSON.
    pub fn from_json(text: &str) -> Result<Self, NodeError> {
        Ok(serde_json::from_str(text)?)
    }

    pub(crate) fn total(&self) -> Resources {
        Resources::from_pairs(self.resources.clone())
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Where objects are spilled to.
    pub(crate) fn storages(&self) -> Vec<Box<dyn Storage>> {
        let limit = self.settings.local_fs_capacity_threshold;
        let folders = match &*self.spill_directories {
            _ if !self.settings.automatic_object_spilling_enabled => &[],
            [] => std::slice::from_ref(&self.session),
            some => some,
        };
        let storage = |path: &PathBuf| Box::new(Folder::new(path.clone(), limit)) as Box<dyn Storage>;
        folders.iter().map(storage).collect()
    }

    pub(crate) fn spill(&self) -> SpillConfig {
        SpillConfig {
            places: self.storages().len(),
            threshold: self.settings.object_spilling_threshold,
            full_wait: Duration::from_secs_f64(self.settings.object_store_full_seconds),
        }
    }

    pub(crate) fn sched(&self) -> shoal_sched::Config {
        let mut config = shoal_sched::Config::new(self.total());
        if let Some(max) = self.max_workers {
            config.max_workers = max;
        }
        config.max_workers = config.max_workers.min(descriptors::most_workers());
        let micros = |seconds: f64| (seconds >= 0.0).then_some((seconds * 1e6) as u64);
        config.infeasible_grace = micros(self.settings.infeasible_grace);
        config.warn_after = micros(self.settings.warn_waiting_seconds);
        config
    }
}
