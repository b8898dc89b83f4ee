//! A log file that begins anew when it is large or old.
//!
//! - ROTATE-1 a line is never torn between two files, unless it alone is larger than a file may be.
//! - ROTATE-2 there are at most `keep` old ones: `NAME.1` is the youngest.
use crate::config::Settings;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

/// One stream's file, made with its first byte.
pub(crate) struct LogFile {
    pub path: PathBuf,
    file: Option<File>,
    size: u64,
    /// When it was begun.
    born: u64,
    /// It ends in the middle of a line.
    torn: bool,
}

impl LogFile {
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, size: 0, born: 0, torn: false }
    }

    /// Appends. A full disk must not stop the worker: what can't be written is not in the file.
    pub fn write(&mut self, mut bytes: &[u8], now: u64, settings: &Settings) {
        while !bytes.is_empty() {
            let old = self.size > 0 && now.saturating_sub(self.born) > settings.log_rotate_micros();
            let room = if old { 0 } else { settings.log_rotate_bytes.saturating_sub(self.size) };
            let fits = match bytes.len() {
                len if len as u64 <= room => len,
                _ => self.cut(bytes, room as usize, old),
            };
            if fits > 0 {
                self.append(&bytes[..fits], now);
                bytes = &bytes[fits..];
            }
            if !bytes.is_empty() {
                self.rotate(settings.log_rotate_count);
            }
        }
    }

    /// How much of `bytes` still goes into this file, which has room for `room`: up to the end of a line.
    fn cut(&self, bytes: &[u8], room: usize, old: bool) -> usize {
        if let Some(at) = bytes[..room].iter().rposition(|b| *b == b'\n') {
            return at + 1;
        }
        let in_a_line = self.torn || self.size == 0;
        match bytes.iter().position(|b| *b == b'\n') {
            Some(at) if in_a_line => at + 1,
            None if old && self.torn => bytes.len(),
            // A line larger than a file may be: it is torn.
            None if in_a_line => room,
            _ => 0,
        }
    }

    fn append(&mut self, bytes: &[u8], now: u64) {
        if self.file.is_none() {
            self.file = OpenOptions::new().create(true).append(true).open(&self.path).ok();
            self.size = self.file.as_ref().and_then(|f| f.metadata().ok()).map_or(0, |m| m.len());
            self.born = now;
        }
        if let Some(file) = &mut self.file {
            let _ = file.write_all(bytes);
        }
        self.size += bytes.len() as u64;
        self.torn = bytes.last() != Some(&b'\n');
    }

    fn rotate(&mut self, keep: u32) {
        (self.file, self.size, self.torn) = (None, 0, false);
        for n in (1..keep).rev() {
            let _ = fs::rename(self.numbered(n), self.numbered(n + 1));
        }
        let _ = if keep == 0 { fs::remove_file(&self.path) } else { fs::rename(&self.path, self.numbered(1)) };
    }

    fn numbered(&self, n: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}"));
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("shoal-logfile-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn texts(folder: &PathBuf) -> Vec<(String, String)> {
        let entry = |e: fs::DirEntry| (e.file_name().into_string().unwrap(), fs::read_to_string(e.path()).unwrap());
        let mut all: Vec<_> = fs::read_dir(folder).unwrap().map(|e| entry(e.unwrap())).collect();
        all.sort();
        fs::remove_dir_all(folder).unwrap();
        all
    }

    fn settings(bytes: u64, keep: u32) -> Settings {
        Settings { log_rotate_bytes: bytes, log_rotate_count: keep, ..Settings::default() }
    }

    fn pairs(want: &[(&str, &str)]) -> Vec<(String, String)> {
        want.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn lines_stay_whole_over_a_rotation() {
        let (folder, limits) = (folder("whole"), settings(10, 2));
        let mut file = LogFile::new(folder.join("w.out"));
        for part in ["aaaa\nbb", "bb\ncc", "cc\ndddd\n", "eeee\nffff\n", "g"] {
            file.write(part.as_bytes(), 0, &limits);
        }
        let want = [("w.out", "g"), ("w.out.1", "eeee\nffff\n"), ("w.out.2", "cccc\ndddd\n")];
        assert_eq!(texts(&folder), pairs(&want));
    }

    #[test]
    fn a_line_longer_than_a_file_is_torn() {
        let (folder, limits) = (folder("long"), settings(4, 9));
        let mut file = LogFile::new(folder.join("w.err"));
        file.write(b"0123456789", 0, &limits);
        let want = [("w.err", "89"), ("w.err.1", "4567"), ("w.err.2", "0123")];
        assert_eq!(texts(&folder), pairs(&want));
    }

    #[test]
    fn an_old_file_is_put_aside_with_the_next_line() {
        let (folder, limits) = (folder("old"), Settings { log_rotate_seconds: 60.0, ..Settings::default() });
        let mut file = LogFile::new(folder.join("w.out"));
        file.write(b"one\ntw", 0, &limits);
        file.write(b"o\nthree\n", 61_000_000, &limits);
        assert_eq!(texts(&folder), pairs(&[("w.out", "three\n"), ("w.out.1", "one\ntwo\n")]));
    }

    #[test]
    fn without_old_ones_there_is_one_file() {
        let (folder, limits) = (folder("one"), settings(4, 0));
        let mut file = LogFile::new(folder.join("w.out"));
        file.write(b"a\nb\nc\n", 0, &limits);
        assert_eq!(texts(&folder), pairs(&[("w.out", "c\n")]));
    }
}
