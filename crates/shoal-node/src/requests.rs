//! Questions of clients.
use crate::node::Node;
use shoal_gcs::{Ask, Event as GcsEvent};
use shoal_proto::control::{Request, Response, ToClient};
use shoal_store::StoreError;
use shoal_types::{ErrorKind, ErrorValue, WorkerId};

/// Largest objects that are named when the arena is full.
const NAMED: usize = 5;

impl Node {
    pub(crate) fn on_request(&mut self, from: WorkerId, req: u64, body: Request) {
        let ask = Ask { client: from, req };
        match body {
            Request::LeaseChunk(at_least) => {
                let body = self.lease_chunk(from, at_least);
                self.answer(ask, body);
            }
            Request::RegisterActor(spec) => {
                let Some(job) = self.clients.get(&from).map(|c| c.job) else { return };
                self.gcs_event(GcsEvent::Register { ask, job, spec });
            }
            Request::GetNamedActor { name, namespace } => {
                self.gcs_event(GcsEvent::NameAsked { ask, name, namespace });
            }
            Request::KillActor { actor, no_restart } => self.gcs_event(GcsEvent::Kill { ask, actor, no_restart }),
            Request::NamedActors => self.gcs_event(GcsEvent::NamesAsked(ask)),
            Request::Nodes => {
                let nodes = self.gcs.nodes(&self.sched.available());
                self.answer(ask, Response::Nodes(nodes));
            }
            Request::KvGet(key) => self.gcs_event(GcsEvent::KvGet { ask, key }),
            Request::KvPut(key, value) => self.gcs_event(GcsEvent::KvPut { ask, key, value }),
            Request::Status => {
                let status = self.status().to_string().into_bytes();
                self.answer(ask, Response::Value(Some(status)));
            }
            Request::Stop => {
                self.answer(ask, Response::Done);
                self.ending = Some(0);
            }
            Request::Look { wish, patience } => self.begin_look(ask, wish, patience),
            Request::Sync => self.answer(ask, Response::Done),
        }
    }

    pub(crate) fn answer(&mut self, ask: Ask, body: Response) {
        self.send(ask.client, &ToClient::Response { req: ask.req, body }, Vec::new());
    }

    fn lease_chunk(&mut self, from: WorkerId, at_least: u64) -> Response {
        let Some(slot) = self.clients.get(&from).map(|c| c.slot) else {
            return Response::Failed(ErrorValue::new(ErrorKind::System, "the process is gone"));
        };
        match self.arena.lease_chunk(slot, at_least) {
            Ok(grant) => Response::Chunk {
                offset: grant.offset,
                len: grant.len,
                entries: grant.entries,
                generation: grant.generation,
                cold: grant.cold,
            },
            Err(error) => Response::Failed(ErrorValue::new(ErrorKind::StoreFull, self.full_text(&error))),
        }
    }

    fn full_text(&self, error: &StoreError) -> String {
        let StoreError::Full { largest, .. } = error else { return error.to_string() };
        let name = |holder: &shoal_store::Holder| {
            let pid = self.clients.get(&holder.owner).map_or(0, |c| c.pid);
            format!("\n  {} bytes: object {} of process {pid}", holder.len, holder.id)
        };
        let list: String = largest.iter().take(NAMED).map(name).collect();
        if list.is_empty() { error.to_string() } else { format!("{error}; the largest objects:{list}") }
    }
}
