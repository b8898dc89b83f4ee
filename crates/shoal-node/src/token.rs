//! What a descriptor in the poller stands for, in 64 bits: a kind and a number.

/// A watched descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Token {
    Listener,
    Signals,
    /// A connection.
    Conn(u64),
    /// A driver's or tool's process, by its connection.
    Driver(u64),
    /// A worker's process, by its start.
    Proc(u64),
    /// A worker's standard output.
    Out(u64),
    /// A worker's standard error.
    Err(u64),
    /// A zygote's socket.
    Zygote(u64),
    /// A notice of the kernel's about memory, by its number.
    Memory(u64),
    /// The threads that wait for disks.
    Disks,
}

const SHIFT: u32 = 56;

impl From<Token> for u64 {
    fn from(token: Token) -> u64 {
        let (kind, number) = match token {
            Token::Listener => (0, 0),
            Token::Signals => (1, 0),
            Token::Conn(n) => (2, n),
            Token::Driver(n) => (3, n),
            Token::Proc(n) => (4, n),
            Token::Out(n) => (5, n),
            Token::Err(n) => (6, n),
            Token::Zygote(n) => (7, n),
            Token::Memory(n) => (8, n),
            Token::Disks => (9, 0),
        };
        (kind << SHIFT) | number
    }
}

impl Token {
    pub fn decode(raw: u64) -> Option<Self> {
        let number = raw & ((1 << SHIFT) - 1);
        Some(match raw >> SHIFT {
            0 => Token::Listener,
            1 => Token::Signals,
            2 => Token::Conn(number),
            3 => Token::Driver(number),
            4 => Token::Proc(number),
            5 => Token::Out(number),
            6 => Token::Err(number),
            7 => Token::Zygote(number),
            8 => Token::Memory(number),
            9 => Token::Disks,
            _ => return None,
        })
    }
}
