//! Questions to the daemon: their threads sleep until the I/O thread has read the answer.
//!
//! - ASK-1 a question ends once: its thread has the answer, or has given the question up, interrupted or because its time
//!   was over. What comes for one that was given up goes back to the daemon.
//! - ASK-2 a signal, and [`Runtime::call_all`], have a thread that sleeps look whether it is to give up. For the window
//!   between that look and the sleep it looks again after [`SOON`].
use crate::runtime::Runtime;
use rustc_hash::FxHashMap;
use shoal_proto::control::{Request, Response, ToNode};
use shoal_types::{ActorId, ArenaLoc, ErrorKind, ErrorValue, ObjectId};
use shoal_wait::{Waited, Waiter};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// Marks a question whose answer tells nothing but that there is one.
pub(crate) const SIGN: u64 = 1 << 62;
/// An answer that takes longer is looked after by the I/O thread.
const SOON: Duration = Duration::from_secs(1);

/// Questions by number.
#[derive(Default)]
pub(crate) struct Questions {
    open: FxHashMap<u64, Arc<Waiter>>,
    /// Answers that were not taken yet, with the files that came along.
    answers: FxHashMap<u64, (Response, Vec<OwnedFd>)>,
    /// Nobody waits for these any more, and their answers may bring what is to go back.
    given_up: FxHashMap<u64, Undo>,
    closed: bool,
}

/// What giving a question up takes.
#[derive(Clone, Copy)]
enum Undo {
    Nothing,
    /// The daemon need not look for room any more.
    Space,
    /// Nor for the object; a mapping that was on its way is none.
    Located(ObjectId, ArenaLoc),
    /// An object that nobody will name.
    Sealed(ObjectId, ArenaLoc),
    /// An actor that nobody has a handle of.
    Actor(ActorId),
}

impl Undo {
    fn of(body: &Request) -> Self {
        match body {
            Request::Space(_) => Self::Space,
            Request::Locate { id, loc, .. } => Self::Located(*id, *loc),
            Request::SealFile { id, loc, .. } => Self::Sealed(*id, *loc),
            Request::RegisterActor(spec) => Self::Actor(spec.id),
            _ => Self::Nothing,
        }
    }

    /// Whether the answer may bring something that is to go back.
    fn has_to_see_the_answer(self) -> bool {
        matches!(self, Self::Space | Self::Located(..))
    }
}

/// What came of a question.
enum Asked {
    Answered(Response, Vec<OwnedFd>),
    /// The session has ended.
    Ended,
    /// Its thread was interrupted.
    Interrupted,
    /// Its time is over.
    Late,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// The time is over, and the question given up.
    Late,
    /// What there is instead.
    Error(ErrorValue),
}

impl From<ErrorValue> for Unanswered {
    fn from(error: ErrorValue) -> Self {
        Self::Error(error)
    }
}

impl From<Unanswered> for ErrorValue {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Late => Self::new(ErrorKind::System, "the daemon did not answer in time"),
            Unanswered::Error(error) => error,
        }
    }
}

impl Runtime {
    /// Asks the daemon and waits for its answer. Not under the state lock, not on the I/O thread, not with the GIL. Ends with
    /// an error when `interrupted` of [`Runtime::on_interrupt`] says so (ASK-2).
    pub fn ask(&self, body: Request) -> Result<Response, ErrorValue> {
        self.ask_for_files(body).map(|(response, _)| response)
    }

    /// As [`Runtime::ask`], for an answer that may bring files.
    pub(crate) fn ask_for_files(&self, body: Request) -> Result<(Response, Vec<OwnedFd>), ErrorValue> {
        Ok(self.ask_until(body, None)?)
    }

    /// The same for no longer than until then.
    pub(crate) fn ask_until(
        &self,
        body: Request,
        until: Option<Instant>,
    ) -> Result<(Response, Vec<OwnedFd>), Unanswered> {
        let (req, undo, waiter) = (self.control.next_request(), Undo::of(&body), Arc::new(Waiter::new(1)));
        self.questions.lock().open.insert(req, Arc::clone(&waiter));
        self.tell_node(&ToNode::Request { req, body });
        self.pause();
        Err(Unanswered::Error(match self.await_answer(req, &waiter, undo, until) {
            Asked::Answered(Response::Failed(error), _) => error,
            Asked::Answered(response, files) => return Ok((response, files)),
            Asked::Late => return Err(Unanswered::Late),
            Asked::Interrupted => ErrorValue::new(ErrorKind::System, "interrupted"),
            Asked::Ended => {
                self.dead().unwrap_or_else(|| ErrorValue::new(ErrorKind::NodeDied, "the session has ended"))
            }
        }))
    }

    /// What to call on a thread whose question is not answered, when a signal came to it or a call is cancelled: whether
    /// it is to give up.
    pub fn on_interrupt(&self, interrupted: fn() -> bool) {
        // Set once, at the session's beginning.
        let _ = self.interrupted.set(interrupted);
    }

    /// Threads that wait for answers are to look whether they go on (ASK-2).
    pub(crate) fn call_askers(&self) {
        self.questions.lock().open.values().for_each(|waiter| waiter.call());
    }

    /// Every question ends: the session is over.
    pub(crate) fn end_questions(&self) {
        let mut questions = self.questions.lock();
        questions.closed = true;
        questions.given_up.clear();
        for waiter in questions.open.values() {
            // Its thread sleeps on its own word: nobody is to be rung.
            let _ = waiter.finish();
        }
    }

    /// `ToClient::Response`.
    pub(crate) fn on_answer(&self, req: u64, body: Response, files: Vec<OwnedFd>) {
        let mut questions = self.questions.lock();
        if let Some(undo) = questions.given_up.remove(&req) {
            drop(questions);
            return self.undo(undo, body);
        }
        let Questions { open, answers, .. } = &mut *questions;
        if let Some(waiter) = open.get(&req) {
            answers.insert(req, (body, files));
            let _ = waiter.finish();
        }
    }

    fn await_answer(&self, req: u64, waiter: &Waiter, undo: Undo, until: Option<Instant>) -> Asked {
        if self.questions.lock().closed {
            let _ = waiter.finish();
        }
        let mut slow = false;
        let end = loop {
            let rest = until.map_or(SOON, |until| until.saturating_duration_since(Instant::now()));
            let waited = waiter.sleep(rest.min(SOON));
            if waited == Waited::Done {
                // There is an answer, or the session has ended.
                break Asked::Ended;
            }
            if self.interrupted.get().is_some_and(|f| f()) {
                break Asked::Interrupted;
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                break Asked::Late;
            }
            if waited == Waited::Timeout && !std::mem::replace(&mut slow, true) {
                self.asking.fetch_add(1, SeqCst);
                self.kick.kick();
            }
        };
        if slow {
            self.asking.fetch_sub(1, SeqCst);
        }
        self.end_question(req, undo, end)
    }

    /// The answer, if there is one; else the question is given up (ASK-1), for that reason.
    fn end_question(&self, req: u64, undo: Undo, why: Asked) -> Asked {
        let mut questions = self.questions.lock();
        questions.open.remove(&req);
        if let Some((body, files)) = questions.answers.remove(&req) {
            return Asked::Answered(body, files);
        }
        if questions.closed {
            return Asked::Ended;
        }
        if undo.has_to_see_the_answer() {
            questions.given_up.insert(req, undo);
        }
        drop(questions);
        match undo {
            Undo::Nothing => {}
            Undo::Space | Undo::Located(..) => self.tell_node(&ToNode::GiveUp(req)),
            // Behind the question they find what it made.
            Undo::Sealed(id, loc) => self.tell_node(&ToNode::Free(vec![(id, loc)])),
            Undo::Actor(actor) => {
                let (req, body) = (self.control.next_request() | SIGN, Request::KillActor { actor, no_restart: true });
                self.tell_node(&ToNode::Request { req, body });
            }
        }
        why
    }

    /// What an answer gave that nobody takes goes back.
    fn undo(&self, undo: Undo, body: Response) {
        match (body, undo) {
            (Response::Chunk { offset, generation, .. }, _) => {
                self.tell_node(&ToNode::ReturnChunks(vec![(offset, generation)]));
            }
            (Response::File { loc, .. }, _) => self.tell_node(&ToNode::GiveUpFile(loc)),
            (Response::Mapped { .. }, Undo::Located(id, loc)) => self.tell_node(&ToNode::Unmapped(vec![(id, loc)])),
            _ => {}
        }
    }
}
