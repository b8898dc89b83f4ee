//! Python objects ↔ flat values (`shoal_proto::flat`). Exact builtins never leave Rust; the rest is pickle 5 with its
//! buffers beside it, by way of the `serialize` and `deserialize` hooks.
use crate::buffers::BufferView;
use crate::errors;
use crate::hooks::{call, hooks};
use crate::refs::collect;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use shoal_proto::flat;
use shoal_types::{ObjectId, RefWire, Value, WorkerId};
use shoal_worker::{Full, Runtime, ValueBytes};
use std::sync::Arc;

/// A Python object, encoded but not yet written anywhere.
pub(crate) enum Encoded<'py> {
    /// A builtin: its flat bytes.
    Plain(Vec<u8>),
    /// A long `str`.
    Str(Bound<'py, PyString>),
    /// A long `bytes`.
    Bytes(Bound<'py, PyBytes>),
    /// A pickle, its buffers, the refs inside.
    Pickled(Bound<'py, PyBytes>, Vec<PyBuffer<u8>>, Vec<RefWire>),
}

const LONG: usize = 64;
const PLAIN_ITEMS: u32 = 32;
const PLAIN_DEPTH: u32 = 3;

/// Encodes any object; `where_` names the call for the error of what can't be.
pub(crate) fn encode<'py>(object: &Bound<'py, PyAny>, where_: &str) -> PyResult<Encoded<'py>> {
    if let Some(plain) = encode_builtin(object)? {
        return Ok(plain);
    }
    let py = object.py();
    let hooks = hooks(py)?;
    if is_plain(object, &mut { PLAIN_ITEMS }, PLAIN_DEPTH) {
        let pickle = call(py, &hooks.dumps, (object, 5))?.cast_into::<PyBytes>()?;
        return Ok(Encoded::Pickled(pickle, Vec::new(), Vec::new()));
    }
    let pickled = collect(|| {
        let pair = call(py, &hooks.serialize, (object,))?;
        pair.extract::<(Bound<'py, PyBytes>, Vec<Bound<'py, PyAny>>)>()
    });
    let ((pickle, buffers), refs) = match pickled {
        Ok(pickled) => pickled,
        Err(error) => {
            let explained = call(py, &hooks.unserializable, (error.value(py), object, where_))?;
            return Err(PyErr::from_value(explained));
        }
    };
    let buffers = buffers.iter().map(raw_buffer).collect::<PyResult<Vec<_>>>()?;
    Ok(Encoded::Pickled(pickle, buffers, refs))
}

/// Whether C's pickler alone can pickle a container: few items, all of them exact builtins, so that no reducer, no ref and
/// no buffer can be in it. Making our own pickler costs more than such a value.
fn is_plain(object: &Bound<'_, PyAny>, left: &mut u32, depth: u32) -> bool {
    let Some(rest) = left.checked_sub(1) else { return false };
    *left = rest;
    if is_builtin(object) {
        return true;
    }
    let Some(depth) = depth.checked_sub(1) else { return false };
    let mut plain = |item: Bound<'_, PyAny>| is_plain(&item, left, depth);
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        tuple.iter().all(plain)
    } else if let Ok(list) = object.cast_exact::<PyList>() {
        list.iter().all(plain)
    } else if let Ok(dict) = object.cast_exact::<PyDict>() {
        dict.iter().all(|(key, value)| plain(key) && plain(value))
    } else {
        false
    }
}

fn is_builtin(object: &Bound<'_, PyAny>) -> bool {
    object.is_none()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyBytes>()
}

fn raw_buffer(buffer: &Bound<'_, PyAny>) -> PyResult<PyBuffer<u8>> {
    PyBuffer::get(&buffer.call_method0("raw")?)
}

fn encode_builtin<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Encoded<'py>>> {
    if object.is_none() {
        return Ok(Some(Encoded::Plain(vec![flat::NONE])));
    }
    if let Ok(b) = object.cast_exact::<PyBool>() {
        return Ok(Some(Encoded::Plain(vec![if b.is_true() { flat::TRUE } else { flat::FALSE }])));
    }
    if let Ok(int) = object.cast_exact::<PyInt>() {
        return Ok(int.extract::<i64>().ok().map(|v| Encoded::Plain(with_tag(flat::INT, &v.to_le_bytes()))));
    }
    if let Ok(float) = object.cast_exact::<PyFloat>() {
        return Ok(Some(Encoded::Plain(with_tag(flat::FLOAT, &float.extract::<f64>()?.to_le_bytes()))));
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        // Lone surrogates are no UTF-8: pickle carries them.
        let short = |data: &[u8]| (data.len() <= LONG).then(|| Encoded::Plain(with_tag(flat::STR, data)));
        return Ok(text.to_str().ok().map(|s| short(s.as_bytes()).unwrap_or_else(|| Encoded::Str(text.clone()))));
    }
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        let data = bytes.as_bytes();
        let short = data.len() <= LONG;
        return Ok(Some(if short {
            Encoded::Plain(with_tag(flat::BYTES, data))
        } else {
            Encoded::Bytes(bytes.clone())
        }));
    }
    Ok(None)
}

fn utf8<'a>(text: &'a Bound<'_, PyString>) -> &'a [u8] {
    text.to_str().expect("it was UTF-8 when it was encoded, and strings don't change").as_bytes()
}

fn with_tag(tag: u8, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + data.len());
    out.push(tag);
    out.extend_from_slice(data);
    out
}

/// Where the bytes of an encoded object lie, readable without the GIL while the object is alive.
enum Parts {
    Plain(Vec<u8>),
    Long(u8, Span),
    Pickled(Vec<u8>, Span, Vec<(usize, Span)>),
}

#[derive(Clone, Copy)]
struct Span(*const u8, usize);

// SAFETY: the spans are read only while their Python objects are held by the caller of `make_value`.
unsafe impl Send for Span {}
// SAFETY: as above; nothing writes through them.
unsafe impl Sync for Span {}

impl Span {
    fn of(data: &[u8]) -> Self {
        Self(data.as_ptr(), data.len())
    }

    fn copy_to(self, out: &mut [u8]) {
        // SAFETY: the span is readable for its length, `out` has the same length and is another memory.
        shoal_worker::copy_into(out, unsafe { std::slice::from_raw_parts(self.0, self.1) });
    }
}

impl Parts {
    fn write(&self, out: &mut [u8]) {
        match self {
            Self::Plain(bytes) => out.copy_from_slice(bytes),
            Self::Long(tag, span) => {
                out[0] = *tag;
                span.copy_to(&mut out[1..]);
            }
            Self::Pickled(head, pickle, buffers) => {
                out[..head.len()].copy_from_slice(head);
                pickle.copy_to(&mut out[head.len()..head.len() + pickle.1]);
                for (at, span) in buffers {
                    span.copy_to(&mut out[*at..*at + span.1]);
                }
            }
        }
    }
}

impl Encoded<'_> {
    /// Bytes of the flat value.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Str(text) => 1 + utf8(text).len(),
            Self::Bytes(bytes) => 1 + bytes.as_bytes().len(),
            Self::Pickled(pickle, buffers, _) => self.layout(pickle, buffers).total,
        }
    }

    fn layout(&self, pickle: &Bound<'_, PyBytes>, buffers: &[PyBuffer<u8>]) -> flat::Layout {
        let lens: Vec<usize> = buffers.iter().map(|b| b.len_bytes()).collect();
        flat::layout(pickle.as_bytes().len(), &lens)
    }

    /// The largest piece of its bytes, where the object has them. To be read with the GIL, as the object itself.
    pub(crate) fn largest(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Str(text) => utf8(text),
            Self::Bytes(bytes) => bytes.as_bytes(),
            Self::Pickled(pickle, buffers, _) => {
                let largest = buffers.iter().max_by_key(|b| b.len_bytes());
                match largest.filter(|b| b.len_bytes() > pickle.as_bytes().len()) {
                    // SAFETY: the buffer is readable for its length while it is held.
                    Some(b) => unsafe { std::slice::from_raw_parts(b.buf_ptr().cast(), b.len_bytes()) },
                    None => pickle.as_bytes(),
                }
            }
        }
    }

    /// The refs inside.
    pub(crate) fn refs(&self) -> &[RefWire] {
        match self {
            Self::Pickled(_, _, refs) => refs,
            _ => &[],
        }
    }

    fn parts(&self) -> Parts {
        match self {
            Self::Plain(bytes) => Parts::Plain(bytes.clone()),
            Self::Str(text) => Parts::Long(flat::STR, Span::of(utf8(text))),
            Self::Bytes(bytes) => Parts::Long(flat::BYTES, Span::of(bytes.as_bytes())),
            Self::Pickled(pickle, buffers, _) => {
                let layout = self.layout(pickle, buffers);
                let lens: Vec<usize> = buffers.iter().map(|b| b.len_bytes()).collect();
                let data = pickle.as_bytes();
                let mut head = Vec::new();
                flat::put_head(&mut head, &layout, data.len(), &lens);
                let spans =
                    buffers.iter().zip(&layout.buffers).map(|(b, at)| (*at, Span(b.buf_ptr().cast(), b.len_bytes())));
                Parts::Pickled(head, Span::of(data), spans.collect())
            }
        }
    }

    /// The flat bytes, in this process's memory.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        if let Self::Plain(bytes) = self {
            return bytes.clone();
        }
        let mut out = vec![0; self.len()];
        self.parts().write(&mut out);
        out
    }

    /// Makes it a value of `owner`: in this process's memory, or in the arena without the GIL.
    pub(crate) fn into_value(
        self,
        py: Python<'_>,
        runtime: &Runtime,
        id: ObjectId,
        owner: WorkerId,
    ) -> PyResult<Value> {
        let refs = self.refs().to_vec();
        let len = self.len();
        let parts = self.parts();
        let make = || runtime.make_value(id, owner, len, refs, |out| parts.write(out));
        let made = if len > shoal_worker::INLINE_LIMIT { py.detach(make) } else { make() };
        made.map_err(|Full(error)| errors::exception(py, &error))
    }
}

/// Decodes a value; `copy` gives private, writable buffers.
pub(crate) fn decode<'py>(py: Python<'py>, value: ValueBytes, copy: bool) -> PyResult<Bound<'py, PyAny>> {
    let bytes = value.as_slice();
    if bytes.first() != Some(&flat::PICKLE) {
        return decode_builtin(py, bytes);
    }
    let parts = flat::Pickled::decode(bytes).map_err(|e| bad(py, &e.to_string()))?;
    unpickle(py, value, &parts, copy)
}

/// Decodes flat bytes that lie in a frame.
pub(crate) fn decode_slice<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    if bytes.first() != Some(&flat::PICKLE) {
        return decode_builtin(py, bytes);
    }
    decode(py, ValueBytes::Inline(Arc::from(bytes)), false)
}

fn bad(py: Python<'_>, what: &str) -> PyErr {
    errors::local(py, "System", &format!("a stored value cannot be read: {what}"))
}

fn decode_builtin<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let Some((tag, rest)) = bytes.split_first() else { return Err(bad(py, "it is empty")) };
    let number = || <[u8; 8]>::try_from(rest).map_err(|_| bad(py, "a number has the wrong length"));
    Ok(match *tag {
        flat::NONE => py.None().into_bound(py),
        flat::FALSE => PyBool::new(py, false).to_owned().into_any(),
        flat::TRUE => PyBool::new(py, true).to_owned().into_any(),
        flat::INT => i64::from_le_bytes(number()?).into_pyobject(py)?.into_any(),
        flat::FLOAT => PyFloat::new(py, f64::from_le_bytes(number()?)).into_any(),
        flat::STR => PyString::new(py, std::str::from_utf8(rest).map_err(|_| bad(py, "text is not UTF-8"))?).into_any(),
        flat::BYTES => PyBytes::new(py, rest).into_any(),
        flat::REFS => {
            let refs = flat::refs_in(rest).ok_or_else(|| bad(py, "refs have the wrong length"))?;
            crate::refs::dynamic(py, &refs)?
        }
        tag => return Err(bad(py, &format!("unknown tag {tag}"))),
    })
}

fn unpickle<'py>(py: Python<'py>, value: ValueBytes, parts: &flat::Pickled, copy: bool) -> PyResult<Bound<'py, PyAny>> {
    let size = value.as_slice().len();
    unpickled(py, value, parts, copy).inspect_err(|error| {
        if error.is_instance_of::<pyo3::exceptions::PyException>(py) {
            let pid = std::process::id();
            let note = format!("raised while a value of {size} bytes was unpickled in process {pid}");
            // An exception that takes no notes is raised as it is.
            let _ = error.value(py).call_method1("add_note", (note,));
        }
    })
}

fn unpickled<'py>(
    py: Python<'py>,
    value: ValueBytes,
    parts: &flat::Pickled,
    copy: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let pickle = PyBytes::new(py, &value.as_slice()[parts.pickle.clone()]);
    if parts.buffers.is_empty() {
        return call(py, &hooks(py)?.loads, (pickle,));
    }
    let buffers = PyList::empty(py);
    let value = Arc::new(value);
    for range in &parts.buffers {
        if copy {
            buffers.append(PyByteArray::new(py, &value.as_slice()[range.clone()]))?;
        } else {
            buffers.append(Bound::new(py, BufferView::new(Arc::clone(&value), range))?)?;
        }
    }
    call(py, &hooks(py)?.deserialize, (pickle, buffers))
}
