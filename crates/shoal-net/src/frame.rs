//! The frame's header.
//!
//! ```text
//! 0  len       u32   bytes after the header, little-endian
//! 4  version   u8    1
//! 5  nfds      u8    descriptors that belong to this frame
//! 6  reserved  u16   zero, not looked at
//! 8  message, in postcard's format
//! ```
//! End-of-file between frames is a good end, within a frame the peer's death.
//!
//! - FRAME-1 a frame's descriptors are sent with its first byte, so they are here when its last one is.
//! - FRAME-2 descriptors belong to frames in the order of both streams: each frame takes the `nfds` oldest. Where
//!   the kernel cuts a read doesn't matter.
//! - FRAME-3 a descriptor that no frame claims is an error as soon as no bytes are left.
//! - FRAME-4 a process that has opened all that it may looks before it takes (`MSG_PEEK`): a descriptor without room is
//!   lost to who takes, and still there for who only looked.

use crate::error::NetError;

/// Bytes of a message at most.
pub const MAX_FRAME: usize = 64 << 20;

/// Descriptors of one frame at most: the kernel's limit for one message.
pub const MAX_DESCRIPTORS: usize = 253;

/// Version of the frame format.
pub const VERSION: u8 = 1;

pub(crate) const HEADER: usize = 8;

/// A header that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) len: usize,
    pub(crate) nfds: usize,
}

impl Header {
    pub(crate) fn new(len: usize, nfds: usize) -> Result<Self, NetError> {
        if len > MAX_FRAME {
            return Err(NetError::FrameTooLarge { len, limit: MAX_FRAME });
        }
        if nfds > MAX_DESCRIPTORS {
            return Err(NetError::TooManyDescriptors { count: nfds, limit: MAX_DESCRIPTORS });
        }
        Ok(Header { len, nfds })
    }

    pub(crate) fn encode(self) -> [u8; HEADER] {
        let [a, b, c, d] = (self.len as u32).to_le_bytes();
        [a, b, c, d, VERSION, self.nfds as u8, 0, 0]
    }

    /// The header at the beginning of `bytes`; `None` if it isn't there yet.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>, NetError> {
        let Some([a, b, c, d, version, nfds, _, _]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
        if *version != VERSION {
            return Err(NetError::Version { found: *version, expected: VERSION });
        }
        let len = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        Header::new(len, usize::from(*nfds)).map(Some)
    }
}
