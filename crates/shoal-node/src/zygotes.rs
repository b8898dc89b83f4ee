//! Which zygote forks for whom; new ones by exec.
use crate::config::DriverStart;
use crate::exits::Ended;
use crate::node::Node;
use crate::sys;
use crate::token::Token;
use crate::zygote::{Zygote, ZygoteKey, acts_at_start};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde_json::{Value, json};
use shoal_net::Interest;
use shoal_sched::{Event as SchedEvent, Shape};
use shoal_types::JobId;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Bytes at the end of a zygote's log that explain why it did not start.
const TAIL: usize = 2000;

/// A runtime environment's variables.
pub(crate) fn env_vars(runtime_env: &Value) -> BTreeMap<String, String> {
    let pairs = runtime_env.get("env_vars").and_then(Value::as_object);
    let text = |(k, v): (&String, &Value)| v.as_str().map(|v| (k.clone(), v.to_owned()));
    pairs.into_iter().flatten().filter_map(text).collect()
}

impl DriverStart {
    /// The environment of workers with this runtime environment (`Null`: the job's own).
    fn environ_with(&self, runtime_env: &Value) -> BTreeMap<String, String> {
        let env = if runtime_env.is_null() { &self.runtime_env } else { runtime_env };
        let mut environ = self.environ.clone();
        environ.extend(env_vars(env));
        environ
    }

    pub(crate) fn key(&self, runtime_env: &Value) -> ZygoteKey {
        let environ = self.environ_with(runtime_env).into_iter().filter(|(name, _)| acts_at_start(name)).collect();
        ZygoteKey {
            executable: self.executable.clone(),
            prefix: self.prefix.clone(),
            flags: self.flags.clone(),
            environ,
        }
    }
}

/// A runtime environment as text, "" for the job's own.
fn parse_env(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

impl Node {
    /// The zygote for workers of this shape; a new one if there is none.
    pub(crate) fn zygote_for(&mut self, job: JobId, shape: &Shape) -> Result<u64, String> {
        let start = self.jobs.get(&job).map(|j| j.start.clone()).ok_or("its job is gone")?;
        let env = parse_env(&shape.runtime_env);
        let key = start.key(&env);
        if let Some((id, _)) = self.zygotes.iter().find(|(_, z)| z.key == key && !z.closed) {
            return Ok(*id);
        }
        self.spawn_zygote(key, &start.environ_with(&env))
    }

    fn spawn_zygote(&mut self, key: ZygoteKey, environ: &BTreeMap<String, String>) -> Result<u64, String> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(|e| format!("socketpair: {e}"))?;
        let log = OpenOptions::new().create(true).append(true).open(self.zygote_log());
        let log = log.and_then(|log| Ok((log.try_clone()?, log))).map_err(|e| format!("the zygote's log: {e}"))?;
        let number = sys::number(&theirs);
        let mut command = Command::new(&key.executable);
        command.args(&key.flags).arg(&self.config.zygote_script).arg(number.to_string());
        command.arg(&self.config.package_root).arg(&self.config.socket);
        command.env_clear().envs(environ).stdin(Stdio::null()).stdout(log.0).stderr(log.1);
        // SAFETY: the closure makes two system calls that are allowed between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::setsid();
                sys::keep_over_exec(number)
            });
        }
        let child = command.spawn().map_err(|e| format!("{} cannot be run: {e}", key.executable))?;
        Ok(self.add_zygote(key, ours, child.id()))
    }

    /// Watches a zygote that runs already.
    pub(crate) fn add_zygote(&mut self, key: ZygoteKey, fd: OwnedFd, pid: u32) -> u64 {
        self.last_zygote += 1;
        let token = Token::Zygote(self.last_zygote).into();
        let _ = self.poller.add(&fd, token, Interest::Read);
        self.zygotes.insert(self.last_zygote, Zygote::new(key, fd, pid, token, self.clock.micros()));
        self.last_zygote
    }

    pub(crate) fn ask_fork(&mut self, zygote: u64, start: u64, shape: &Shape, gpus: &[u32], fds: Vec<OwnedFd>) {
        let Some(job) = self.jobs.get(&shape.job) else { return };
        let env = parse_env(&shape.runtime_env);
        let device = |id: &u32| self.config.gpu_ids.get(*id as usize).cloned().unwrap_or_else(|| id.to_string());
        let devices: Vec<_> = gpus.iter().map(device).collect();
        let request = json!({
            "start": start,
            "job": job.raw_start,
            "runtime_env": if env.is_null() { job.start.runtime_env.clone() } else { env },
            "threads": shape.threads(),
            "gpus": devices,
            "node_gpus": self.config.resources.get("GPU").is_some_and(|n| *n > 0),
            "address": self.config.address(),
        });
        if let Some(z) = self.zygotes.get_mut(&zygote) {
            z.queue(&request, fds);
        }
        self.flush_zygote(zygote);
    }

    pub(crate) fn flush_zygote(&mut self, id: u64) {
        let Some(z) = self.zygotes.get_mut(&id) else { return };
        let interest = match z.flush() {
            Ok(true) => Interest::ReadWrite,
            // A broken connection is found when it is read.
            Ok(false) | Err(_) => Interest::Read,
        };
        let _ = self.poller.modify(&z.fd, z.token, interest);
    }

    /// A zygote's socket is ready.
    pub(crate) fn on_zygote(&mut self, id: u64, writable: bool) {
        if writable {
            self.flush_zygote(id);
        }
        let now = self.clock.micros();
        let Some(z) = self.zygotes.get_mut(&id) else { return };
        let (said, alive) = z.read();
        z.heard = now;
        for said in said {
            match (said.start, said.pid, said.status, said.error) {
                (Some(start), _, _, Some(reason)) => self.on_fork_failed(start, reason),
                (Some(start), Some(pid), ..) => self.on_forked(start, pid),
                (None, Some(pid), Some(status), _) => self.on_reaped(pid, status),
                _ => {}
            }
        }
        if !alive && let Some(z) = self.zygotes.get_mut(&id) {
            let _ = self.poller.delete(&z.fd);
            z.closed = true;
            self.check_zygote_lost(id);
        }
    }

    fn on_fork_failed(&mut self, start: u64, reason: String) {
        if self.procs.remove(&start).is_some() {
            self.sched_event(SchedEvent::StartFailed { start, reason });
        }
    }

    /// It has not forked for long. Its end is heard on its socket.
    pub(crate) fn kill_zygote(&mut self, id: u64) {
        let Some(z) = self.zygotes.get(&id) else { return };
        shoal_net::say!(
            "the process that forks workers (process {}) does not answer: it is killed and replaced",
            z.pid
        );
        sys::kill_process(z.pid);
    }

    /// A child of ours that is no worker has ended.
    pub(crate) fn on_zygote_reaped(&mut self, pid: u32, ended: Ended) {
        let Some((id, z)) = self.zygotes.iter_mut().find(|(_, z)| z.pid == pid) else { return };
        z.ended = Some(ended);
        let id = *id;
        self.check_zygote_lost(id);
    }

    /// It is lost when everything that it said was heard and it is known how it ended.
    fn check_zygote_lost(&mut self, id: u64) {
        let Some(z) = self.zygotes.get(&id).filter(|z| z.closed) else { return };
        if let Some(ended) = z.ended {
            self.on_zygote_lost(id, ended);
        }
    }

    /// What it had not forked yet comes to nothing; its children are ours now. The next start makes a new one.
    fn on_zygote_lost(&mut self, id: u64, ended: Ended) {
        let Some(z) = self.zygotes.remove(&id) else { return };
        let unborn = self.procs.iter().filter(|(_, p)| p.zygote == id && p.pid.is_none());
        let unborn: Vec<_> = unborn.map(|(start, _)| *start).collect();
        let (how, tail) = (ended.text(), self.zygote_tail());
        let reason = format!("the process that forks workers (pid {}) {how}{tail}", z.pid);
        // One that never came up is a failure, but one only, however many waited for it.
        let mut unborn = unborn.into_iter().peekable();
        if let Some(start) = unborn.next_if(|_| !z.is_up()) {
            self.procs.remove(&start);
            self.end_start(start, reason, ended.is_from_outside());
        }
        for start in unborn {
            self.procs.remove(&start);
            self.sched_event(SchedEvent::StartLost(start));
        }
    }

    fn zygote_log(&self) -> std::path::PathBuf {
        self.config.session.join("logs").join("zygote.log")
    }

    fn zygote_tail(&self) -> String {
        let text = std::fs::read(self.zygote_log()).unwrap_or_default();
        let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL)..]).trim().to_owned();
        if tail.is_empty() { tail } else { format!(":\n{tail}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_acts_at_start_makes_another_zygote() {
        let environ = [("PYTHONPATH", "a"), ("HOME", "h"), ("LC_ALL", "C")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let start = DriverStart {
            executable: "p".into(),
            prefix: "x".into(),
            flags: vec![],
            environ: environ.into(),
            runtime_env: Value::Null,
        };
        let plain = start.key(&Value::Null);
        assert_eq!(plain.environ.len(), 2);
        assert_eq!(plain, start.key(&json!({"env_vars": {"HOME": "other"}})));
        assert_ne!(plain, start.key(&json!({"env_vars": {"LD_PRELOAD": "lib.so"}})));
        let of_job = DriverStart { runtime_env: json!({"env_vars": {"PYTHONPATH": "b"}}), ..start };
        assert_eq!(of_job.key(&Value::Null), of_job.key(&json!({"env_vars": {"PYTHONPATH": "b"}})));
    }
}
