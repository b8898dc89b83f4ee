//! Questions of clients.
use crate::node::Node;
use crate::saving::Then;
use shoal_gcs::{Ask, Event as GcsEvent};
use shoal_proto::control::{Request, Response, ToClient};
use shoal_store::spill::Event as ObjectEvent;
use shoal_types::{ArenaLoc, ErrorKind, ErrorValue, ObjectId, WorkerId};

impl Node {
    pub(crate) fn on_request(&mut self, from: WorkerId, req: u64, body: Request) {
        let ask = Ask { client: from, req };
        match body {
            Request::LeaseChunk(_) | Request::Space(_) | Request::SealFile { .. } | Request::Locate { .. } => {
                self.on_object_request(ask, body);
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
                self.save_first(Then::Instance(0));
            }
            Request::Look { wish, patience } => self.begin_look(ask, wish, patience),
            Request::Sync => self.answer(ask, Response::Done),
            Request::Lose { id, loc, tell } => self.lose_object(ask, id, loc, tell),
        }
    }

    /// For tests: as if its bytes had gone.
    fn lose_object(&mut self, ask: Ask, id: ObjectId, loc: ArenaLoc, tell: bool) {
        if !shoal_crash::is_dev() {
            let error = ErrorValue::new(ErrorKind::System, "objects are lost on purpose in the dev profile alone");
            return self.answer(ask, Response::Failed(error));
        }
        self.object_event(ObjectEvent::Freed(vec![(id, loc)]));
        if tell {
            let why = "a test had it lost".to_owned();
            self.send(ask.client, &ToClient::StoredLost { id, loc, why }, Vec::new());
        }
        self.answer(ask, Response::Done);
    }

    pub(crate) fn answer(&mut self, ask: Ask, body: Response) {
        self.send(ask.client, &ToClient::Response { req: ask.req, body }, Vec::new());
    }
}
