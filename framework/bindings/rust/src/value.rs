//! Values: what is sent and received.
use std::fmt;
use std::os::raw::{c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

use crate::actor::bytes_at;
use crate::error::{check, Code, Error, Result};
use crate::handle::{got, made, name_argument, Owned};
use crate::sys;

/// Lists, records and maps within one another that the library allows. Held here, too, since building one goes as deep.
const NESTING: usize = 32;

/// What is sent and received. There is a `From` for what is one anyway: `me.send(&shop, "hello")`, `mail.reply(7)`.
#[derive(Clone, Debug)]
pub enum Value {
    /// None.
    Nothing,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer that is sent as unsigned.
    Uint(u64),
    /// A real number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Elements in order.
    List(Vec<Value>),
    /// Fields in order, of a message type or of none.
    Record(Record),
    /// Pairs of a key and what it leads to, in the order that they are sent in. Keys may be any value.
    Map(Vec<(Value, Value)>),
    /// What leads to an actor.
    Ref(Ref),
    /// Bytes of an encoding of your own. As a part of another value, or as an answer, it may arrive as a record, which
    /// [`Value::as_tagged`] reads, too.
    Tagged(Tagged),
}

/// Fields in order, as of a C++ aggregate.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Of which message type it is, [`type_id`]; 0: of none. It arrives at a C++ actor as that type.
    pub type_id: u64,
    /// Its fields.
    pub fields: Vec<Value>,
}

impl Record {
    /// Of no message type.
    pub fn new(fields: impl IntoIterator<Item = Value>) -> Record {
        Record { type_id: 0, fields: fields.into_iter().collect() }
    }

    /// Of the message type of that C++ name, "shop::order".
    pub fn named(name: &str, fields: impl IntoIterator<Item = Value>) -> Result<Record> {
        Ok(Record { type_id: type_id(name)?, fields: fields.into_iter().collect() })
    }
}

/// The number of a message type, by its C++ name.
pub fn type_id(name: &str) -> Result<u64> {
    let name = name_argument(name)?;
    Ok(unsafe { sys::coppice_type_id(name.as_ptr()) })
}

/// Bytes of an encoding of your own (Protocol Buffers, JSON, ...), and a number that says which.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tagged {
    /// Which encoding.
    pub tag: u64,
    /// The bytes, which arrive untouched.
    pub content: Vec<u8>,
}

impl Tagged {
    /// The bytes, with the number that says which.
    pub fn new(tag: u64, content: impl Into<Vec<u8>>) -> Tagged {
        Tagged { tag, content: content.into() }
    }
}

/// Leads to an actor, wherever it runs, also after it was restarted. Two are equal if they lead to the same one. Its handle is
/// closed with its last clone.
#[derive(Clone)]
pub struct Ref(Arc<Owned>);

impl Ref {
    pub(crate) fn of(handle: Owned) -> Ref {
        Ref(Arc::new(handle))
    }

    pub(crate) fn handle(&self) -> u64 {
        self.0.get()
    }
}

impl PartialEq for Ref {
    fn eq(&self, other: &Ref) -> bool {
        unsafe { sys::coppice_same(self.handle(), other.handle()) == sys::OK }
    }
}

impl Eq for Ref {}

/// For people.
impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 1024];
        let at = text.as_mut_ptr() as *mut c_char;
        if unsafe { sys::coppice_ref_text(self.handle(), at, text.len()) } != sys::OK {
            return f.write_str("closed");
        }
        let size = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        f.write_str(&String::from_utf8_lossy(&text[..size]))
    }
}

impl fmt::Debug for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ref({self})")
    }
}

/// Maps are equal if they have the same pairs, in any order.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        use Value::*;
        match (self, other) {
            (Nothing, Nothing) => true,
            (Bool(a), Bool(b)) => a == b,
            (Int(a), Int(b)) => a == b,
            (Uint(a), Uint(b)) => a == b,
            (Real(a), Real(b)) => a == b,
            (Text(a), Text(b)) => a == b,
            (Bytes(a), Bytes(b)) => a == b,
            (List(a), List(b)) => a == b,
            (Record(a), Record(b)) => a == b,
            (Map(a), Map(b)) => same_pairs(a, b),
            (Ref(a), Ref(b)) => a == b,
            (Tagged(a), Tagged(b)) => a == b,
            _ => false,
        }
    }
}

fn same_pairs(a: &[(Value, Value)], b: &[(Value, Value)]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // Most often they are in the same order, so that each is found where it is looked for first.
    let mut left: Vec<&(Value, Value)> = b.iter().rev().collect();
    a.iter().all(|pair| match left.iter().rposition(|one| *one == pair) {
        Some(at) => {
            left.remove(at);
            true
        }
        None => false,
    })
}

impl Value {
    /// A list of what becomes values.
    pub fn list<T: Into<Value>>(elements: impl IntoIterator<Item = T>) -> Value {
        Value::List(elements.into_iter().map(Into::into).collect())
    }

    /// A record of no message type, of what becomes values.
    pub fn record<T: Into<Value>>(fields: impl IntoIterator<Item = T>) -> Value {
        Value::Record(Record::new(fields.into_iter().map(Into::into)))
    }

    /// A map of pairs of what becomes values.
    pub fn map<K: Into<Value>, V: Into<Value>>(pairs: impl IntoIterator<Item = (K, V)>) -> Value {
        Value::Map(pairs.into_iter().map(|(key, mapped)| (key.into(), mapped.into())).collect())
    }

    /// It is none.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Value::Nothing)
    }

    /// The boolean that it is.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The integer that it is, if it fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            Value::Uint(n) => i64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The same, unsigned.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Int(n) => u64::try_from(*n).ok(),
            Value::Uint(n) => Some(*n),
            _ => None,
        }
    }

    /// The real number that it is.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Real(x) => Some(*x),
            _ => None,
        }
    }

    /// The text that it is.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes that it is.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The elements of a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The record that it is.
    pub fn as_record(&self) -> Option<&Record> {
        match self {
            Value::Record(record) => Some(record),
            _ => None,
        }
    }

    /// The pairs of a map.
    pub fn as_map(&self) -> Option<&[(Value, Value)]> {
        match self {
            Value::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// What the key of a map leads to: `asked.get("price of")`.
    pub fn get(&self, key: impl Into<Value>) -> Option<&Value> {
        let key = key.into();
        self.as_map()?.iter().find(|pair| pair.0 == key).map(|pair| &pair.1)
    }

    /// What leads to an actor.
    pub fn as_actor(&self) -> Option<&Ref> {
        match self {
            Value::Ref(to) => Some(to),
            _ => None,
        }
    }

    /// Tag and content of tagged bytes, also of those that have come as a record.
    pub fn as_tagged(&self) -> Option<(u64, &[u8])> {
        match self {
            Value::Tagged(tagged) => Some((tagged.tag, &tagged.content)),
            Value::Record(record) if record.type_id == 0 => match record.fields.as_slice() {
                [tag, Value::Bytes(content)] => Some((tag.as_u64()?, content)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The library's form of it, new.
    pub(crate) fn build(&self) -> Result<Owned> {
        self.build_within(NESTING)
    }

    /// `room`: lists, records and maps that may yet be within one another.
    fn build_within(&self, room: usize) -> Result<Owned> {
        match self {
            Value::Nothing => made(|out| unsafe { sys::coppice_new_nothing(out) }),
            Value::Bool(b) => made(|out| unsafe { sys::coppice_new_bool((*b).into(), out) }),
            Value::Int(n) => made(|out| unsafe { sys::coppice_new_int64(*n, out) }),
            Value::Uint(n) => made(|out| unsafe { sys::coppice_new_uint64(*n, out) }),
            Value::Real(x) => made(|out| unsafe { sys::coppice_new_double(*x, out) }),
            Value::Text(text) => {
                made(|out| unsafe { sys::coppice_new_text(text.as_ptr() as *const c_char, text.len(), out) })
            }
            Value::Bytes(bytes) => made(|out| unsafe {
                sys::coppice_new_bytes(bytes.as_ptr() as *const c_void, bytes.len(), out)
            }),
            Value::Ref(to) => made(|out| unsafe { sys::coppice_new_ref(to.handle(), out) }),
            Value::Tagged(Tagged { tag, content }) => made(|out| unsafe {
                sys::coppice_new_tagged(*tag, content.as_ptr() as *const c_void, content.len(), out)
            }),
            Value::List(elements) => {
                filled(made(|out| unsafe { sys::coppice_new_list(out) })?, elements, room)
            }
            Value::Record(record) => {
                let whole = made(|out| unsafe { sys::coppice_new_record_of(record.type_id, out) })?;
                filled(whole, &record.fields, room)
            }
            Value::Map(pairs) => {
                let room = less(room)?;
                let whole = made(|out| unsafe { sys::coppice_new_map(out) })?;
                for (key, mapped) in pairs {
                    let (key, mapped) = (key.build_within(room)?, mapped.build_within(room)?);
                    // Both are taken, whatever comes of it.
                    check(unsafe { sys::coppice_put(whole.get(), key.give_away(), mapped.give_away()) })?;
                }
                Ok(whole)
            }
        }
    }

    /// What the library's form holds.
    pub(crate) fn read(from: Owned) -> Result<Value> {
        let v = from.get();
        // Its texts and bytes live as long as `from`, which nobody else has.
        Ok(match got(|out| unsafe { sys::coppice_value_kind_of(v, out) })? {
            sys::BOOL => Value::Bool(got(|out: *mut c_int| unsafe { sys::coppice_get_bool(v, out) })? != 0),
            sys::INT => Value::Int(got(|out| unsafe { sys::coppice_get_int64(v, out) })?),
            sys::UINT => Value::Uint(got(|out| unsafe { sys::coppice_get_uint64(v, out) })?),
            sys::REAL => Value::Real(got(|out| unsafe { sys::coppice_get_double(v, out) })?),
            sys::TEXT => {
                let (mut at, mut size) = (ptr::null(), 0);
                check(unsafe { sys::coppice_get_text(v, &mut at, &mut size) })?;
                text_in(unsafe { bytes_at(at as *const c_void, size) })?
            }
            sys::BYTES => {
                let (mut at, mut size) = (ptr::null(), 0);
                check(unsafe { sys::coppice_get_bytes(v, &mut at, &mut size) })?;
                Value::Bytes(unsafe { bytes_at(at, size) }.to_vec())
            }
            sys::LIST => Value::List(parts_of(v)?),
            sys::RECORD => Value::Record(Record {
                type_id: got(|out| unsafe { sys::coppice_value_type(v, out) })?,
                fields: parts_of(v)?,
            }),
            sys::MAP => {
                let key = |i| made(|out| unsafe { sys::coppice_value_key(v, i, out) });
                let mapped = |i| made(|out| unsafe { sys::coppice_value_at(v, i, out) });
                let pair = |i| Ok((Value::read(key(i)?)?, Value::read(mapped(i)?)?));
                Value::Map((0..size_of(v)?).map(pair).collect::<Result<_>>()?)
            }
            sys::REF => Value::Ref(Ref::of(made(|out| unsafe { sys::coppice_get_ref(v, out) })?)),
            sys::TAGGED => {
                let (mut tag, mut at, mut size) = (0, ptr::null(), 0);
                check(unsafe { sys::coppice_get_tagged(v, &mut tag, &mut at, &mut size) })?;
                Value::Tagged(Tagged::new(tag, unsafe { bytes_at(at, size) }))
            }
            sys::NOTHING => Value::Nothing,
            kind => {
                return Err(Error::new(
                    Code::WrongVersion,
                    format!("a value of a kind not known here: {kind}"),
                ))
            }
        })
    }
}

fn less(room: usize) -> Result<usize> {
    room.checked_sub(1).ok_or_else(|| {
        let text = "lists, records and maps within one another are limited to 32: flatten what you send";
        Error::new(Code::TooLarge, text)
    })
}

fn filled(whole: Owned, parts: &[Value], room: usize) -> Result<Owned> {
    let room = less(room)?;
    for part in parts {
        // It is taken, whatever comes of it.
        check(unsafe { sys::coppice_add(whole.get(), part.build_within(room)?.give_away()) })?;
    }
    Ok(whole)
}

fn size_of(v: u64) -> Result<usize> {
    got(|out| unsafe { sys::coppice_value_size(v, out) })
}

fn parts_of(v: u64) -> Result<Vec<Value>> {
    let part = |i| made(|out| unsafe { sys::coppice_value_at(v, i, out) }).and_then(Value::read);
    (0..size_of(v)?).map(part).collect()
}

/// What other programs send is given as it came, so it may be no UTF-8.
fn text_in(bytes: &[u8]) -> Result<Value> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Value::Text(text.to_owned())),
        Err(why) => Err(Error::new(Code::BadMessage, format!("a text that was received is no UTF-8: {why}"))),
    }
}

macro_rules! from {
    ($($given:ty => |$name:ident| $made:expr;)*) => {
        $(impl From<$given> for Value {
            fn from($name: $given) -> Value {
                $made
            }
        })*
    };
}

from! {
    () => |_nothing| Value::Nothing;
    bool => |b| Value::Bool(b);
    i8 => |n| Value::Int(n.into());
    i16 => |n| Value::Int(n.into());
    i32 => |n| Value::Int(n.into());
    i64 => |n| Value::Int(n);
    u8 => |n| Value::Int(n.into());
    u16 => |n| Value::Int(n.into());
    u32 => |n| Value::Int(n.into());
    u64 => |n| Value::Uint(n);
    f32 => |x| Value::Real(x.into());
    f64 => |x| Value::Real(x);
    &str => |text| Value::Text(text.to_owned());
    String => |text| Value::Text(text);
    &[u8] => |bytes| Value::Bytes(bytes.to_vec());
    Vec<u8> => |bytes| Value::Bytes(bytes);
    Vec<Value> => |elements| Value::List(elements);
    Vec<(Value, Value)> => |pairs| Value::Map(pairs);
    Record => |record| Value::Record(record);
    Ref => |to| Value::Ref(to);
    &Ref => |to| Value::Ref(to.clone());
    Tagged => |tagged| Value::Tagged(tagged);
    &Value => |value| value.clone();
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Value {
        Value::Bytes(bytes.to_vec())
    }
}

/// None is [`Value::Nothing`].
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Nothing, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_utf8_is_told() {
        assert_eq!(text_in("grüß".as_bytes()), Ok(Value::from("grüß")));
        assert_eq!(text_in(b"gr\xfc\xdf").unwrap_err().code(), Code::BadMessage);
    }

    #[test]
    fn maps_are_equal_in_any_order() {
        let ab = Value::map([("a", 1), ("b", 2)]);
        assert_eq!(ab, Value::map([("b", 2), ("a", 1)]));
        assert_ne!(ab, Value::map([("b", 1), ("a", 2)]));
        assert_ne!(ab, Value::map([("a", 1), ("a", 1)]));
        assert_ne!(Value::map([("a", 1), ("a", 1)]), ab);
        assert_ne!(ab, Value::map([("a", 1)]));
        assert_eq!(ab.get("b"), Some(&Value::Int(2)));
        assert_eq!(ab.get("c"), None);
    }
}
