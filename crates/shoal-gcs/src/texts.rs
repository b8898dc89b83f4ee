//! Why actors die, in sentences.
use crate::Exit;
use shoal_types::{ActorId, ActorSpec, ErrorKind, ErrorValue, WorkerId};

/// Class and given name.
fn label(spec: &ActorSpec) -> String {
    if spec.name.is_empty() { spec.class_name.clone() } else { format!("{} \"{}\"", spec.class_name, spec.name) }
}

fn died(spec: &ActorSpec, text: String) -> ErrorValue {
    ErrorValue { kind: ErrorKind::ActorDied, message: text, pickled: Vec::new(), actor: Some(spec.id) }
}

pub(crate) fn no_args(spec: &ActorSpec, error: &ErrorValue) -> ErrorValue {
    let text = format!("actor {} was not made: an argument of its constructor failed: {}", label(spec), error.message);
    ErrorValue { pickled: error.pickled.clone(), ..died(spec, text) }
}

pub(crate) fn constructor(spec: &ActorSpec, error: ErrorValue) -> ErrorValue {
    let text = format!("actor {} died: its constructor raised:\n{}", label(spec), error.message);
    ErrorValue { pickled: error.pickled, ..died(spec, text) }
}

pub(crate) fn killed(spec: &ActorSpec) -> ErrorValue {
    died(spec, format!("actor {} was killed by shoal.kill()", label(spec)))
}

pub(crate) fn orphan(spec: &ActorSpec, creator: WorkerId, exit: &Exit) -> ErrorValue {
    let text = format!("actor {} ended because its creator, process {creator}, died: {}", label(spec), exit.text);
    died(spec, text)
}

pub(crate) fn process_gone(spec: &ActorSpec, ending: Option<&str>, exit: &Exit) -> ErrorValue {
    let text = match ending {
        Some(reason) => format!("actor {} ended: {reason}", label(spec)),
        None => format!("actor {} died: {}", label(spec), exit.text),
    };
    died(spec, text)
}

pub(crate) fn restarting(spec: &ActorSpec, ended: &str) -> ErrorValue {
    let text = format!("actor {} is being restarted: {ended}", label(spec));
    ErrorValue { kind: ErrorKind::ActorUnavailable, ..died(spec, text) }
}

pub(crate) fn job_over(spec: &ActorSpec, exit: &Exit) -> ErrorValue {
    died(spec, format!("actor {} ended with its job: {}", label(spec), exit.text))
}

pub(crate) fn unknown(id: ActorId) -> ErrorValue {
    let text = format!("actor {id} is not known here: it died long ago or belongs to another instance");
    ErrorValue { actor: Some(id), ..ErrorValue::new(ErrorKind::ActorDied, text) }
}
