//! The one table: number, name, the process that a test kills there, and where it is.

/// One place where a process may die.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Its number, for ever.
    pub number: u32,
    /// Its name, for `SHOAL_CRASH_POINT`.
    pub name: &'static str,
}

macro_rules! points {
    ($($number:literal $name:literal $process:ident $text:literal;)*) => {
        /// Every point.
        pub const POINTS: &[Point] = &[$(Point { number: $number, name: $name }),*];
    };
}

points! {
    1 "ring.push.written" worker "payload written";
    2 "ring.push.queued" worker "length and claim word written";
    3 "ring.push.published" worker "head moved";
    4 "ring.take.taken" worker "claimed";
    5 "ring.take.passed" worker "tail moved";
    6 "ring.withdraw" driver "taken back";
    11 "begin.described" worker "entry described";
    12 "begin.open" worker "entry is OPEN";
    13 "seal.written" worker "bytes written, before SEALED";
    14 "seal.sealed" worker "entry is SEALED";
    15 "writer.dropped" worker "an unsealed entry is FREE";
    16 "chunk.reserved" worker "pages reserved, before `backed`";
    17 "chunk.backed" worker "`backed`";
    18 "pin.published" worker "pin stored";
    19 "pin.verified" worker "entry found SEALED";
    20 "pin.cleared" worker "pin taken away";
    21 "reset.empty" worker "first entry of a chunk that starts again is EMPTY";
    22 "free.evicting" daemon "entry is EVICTING";
    23 "free.pins_read" daemon "every pin was read";
    24 "free.free" daemon "entry is FREE";
    25 "spill.kept" daemon "an entry that was to be taken out is SEALED again: it is pinned";
    26 "spill.ordered" daemon "before objects are written to disk";
    27 "spill.written" daemon "objects are on disk, before that is known";
    28 "spill.restored" daemon "an object is back in the arena, before it is SEALED";
    29 "spill.mapped" daemon "before a reader gets a file";
    31 "lease.demand" driver "before leases are asked for";
    32 "lease.return" driver "before a lease goes back";
    33 "actor.register" driver "before an actor is registered";
    34 "actor.start" driver "before a registered actor is started";
    35 "actor.started" worker "before it says that its actor is up";
    36 "file.written" driver "an object is written to a file, before it is sealed";
    37 "object.asked" driver "before it is asked where an object is";
    41 "lease.granted" daemon "before a caller hears of its lease";
    42 "lane.made" daemon "before the executor hears of a lane";
    43 "lane.half_told" daemon "the executor knows of a lane, its caller doesn't";
    44 "actor.become" daemon "before a worker is told to be an actor";
    45 "actor.up" daemon "before a caller hears that its actor is up";
}

/// Whether the table has this point: asked by the macro when it is compiled.
pub const fn has(number: u32, name: &str) -> bool {
    let mut i = 0;
    while i < POINTS.len() {
        if POINTS[i].number == number {
            return equal(POINTS[i].name.as_bytes(), name.as_bytes());
        }
        i += 1;
    }
    false
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    a.len() == b.len()
}
