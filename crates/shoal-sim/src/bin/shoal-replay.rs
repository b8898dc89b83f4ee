//! Replays every trace of a folder that `SHOAL_TRACE` named: `shoal-replay FOLDER`. Prints a line a process, and fails
//! when a core orders something else than it did in the run.
#![deny(missing_docs)]

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: shoal-replay FOLDER");
        return ExitCode::from(2);
    };
    match replay_all(Path::new(&folder)) {
        Ok(0) => fail("no trace is in that folder"),
        Ok(_) => ExitCode::SUCCESS,
        Err(text) => fail(&text),
    }
}

fn fail(text: &str) -> ExitCode {
    eprintln!("shoal-replay: {text}");
    ExitCode::FAILURE
}

fn replay_all(folder: &Path) -> Result<usize, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "trace"));
    paths.sort();
    for path in &paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = std::fs::read(path).map_err(|e| format!("{name}: {e}"))?;
        let (me, trace) = shoal_sim::Trace::read(&bytes).map_err(|e| format!("{name}: {e}"))?;
        if let Some(me) = me {
            shoal_sim::replay(me, &trace.events, &trace.orders).map_err(|e| format!("{name}: {e}"))?;
        }
        println!("{name}: {} events", trace.events.len());
    }
    Ok(paths.len())
}
