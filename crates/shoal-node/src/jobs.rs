//! Jobs: a driver's namespace, how its workers start, its end.
use crate::clients::Kind;
use crate::config::DriverStart;
use crate::node::Node;
use crate::saving::Then;
use crate::sys;
use serde_json::Value;
use shoal_gcs::{Event as GcsEvent, Exit};
use shoal_proto::control::LogsWanted;
use shoal_sched::Event as SchedEvent;
use shoal_types::{JobId, WorkerId};

pub(crate) struct Job {
    pub driver: WorkerId,
    pub namespace: String,
    pub start: DriverStart,
    /// The same as the driver sent it, for zygotes.
    pub raw_start: Value,
    /// What the driver wants of its workers' output.
    pub logs: LogsWanted,
    /// Its driver is gone; the connection on which it waits for the end of its workers.
    pub ended: Option<u64>,
    /// When it began: microseconds since 1970.
    pub began: u64,
}

impl Job {
    pub fn new(namespace: &str, start: DriverStart, raw_start: Value, logs: LogsWanted) -> Self {
        Self {
            driver: WorkerId::NIL,
            namespace: namespace.to_owned(),
            start,
            raw_start,
            logs,
            ended: None,
            began: crate::tables::unix_now(),
        }
    }
}

impl Node {
    /// A driver says goodbye: its job ends now, its connection when its workers are gone.
    pub(crate) fn on_bye(&mut self, from: WorkerId) {
        let Some(client) = self.clients.get_mut(&from) else { return };
        client.bye = true;
        let job = client.job;
        if client.start.is_none() {
            if client.kind == Kind::Driver {
                self.tell_last_output(job);
            }
            self.on_outsider_lost(from, false);
        }
    }

    /// The driver is gone: everything of its job ends but detached actors, after its last saves if it said goodbye; an instance of `init()` ends with it.
    pub(crate) fn end_job(&mut self, job: JobId, exit: Exit, conn: u64) {
        self.remember_job(job, exit.clean, &exit.text);
        if exit.clean {
            self.save_first(Then::Job(job, exit, conn));
        } else {
            self.end_job_now(job, exit, conn);
        }
    }

    pub(crate) fn end_job_now(&mut self, job: JobId, exit: Exit, conn: u64) {
        let Some(record) = self.jobs.get_mut(&job) else { return };
        record.ended = Some(conn);
        if self.config.owned_by_first_client && job == JobId(1) {
            self.ending = Some(0);
            return;
        }
        self.gcs_event(GcsEvent::JobEnded { job, exit });
        self.sched_event(SchedEvent::JobEnded(job));
        self.settle();
        self.check_job(job);
    }

    /// When no process of an ended job is about to die any more, its driver is told by end-of-file; when there is none
    /// at all, the job is forgotten.
    pub(crate) fn check_job(&mut self, job: JobId) {
        let Some(conn) = self.jobs.get(&job).and_then(|j| j.ended) else { return };
        if self.procs.values().any(|p| p.job == job && p.killed.is_some()) {
            return;
        }
        if let Some(conn) = self.conns.get(&conn) {
            sys::half_close(&conn.fd);
        }
        let detached = self.gcs.actors().any(|a| a.state != "DEAD" && self.gcs.job_of(a.id) == Some(job));
        if !detached && self.procs.values().all(|p| p.job != job) {
            self.jobs.remove(&job);
            self.drop_snapshots(job);
        }
    }

    /// Snapshots of the job's working folders (`runtime/working_dir.py` names them so).
    fn drop_snapshots(&self, job: JobId) {
        let ending = format!("-{}", job.0);
        let folder = self.config.session.join("working_dirs");
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(&ending) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}
