//! Small records, packed one after the other into as few bytes as they need.
//!
//! A member is held in memory by the thousand, copied, and written with every event. What grows with their past is kept
//! like this, so that it costs next to nothing. Most events are about the last record, or add one behind it, and touch
//! nothing but the end. Behind each record stands how long it is, so that the last can be found, and those before it.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// More than the numbers of any record take.
const LONGEST: usize = 64;

/// Something of which a member has many, each with a key of its own.
pub trait Record: Copy + PartialEq {
    /// What they are in the order of.
    type Key: Ord;
    /// The numbers that it is made of: the smaller they are, the fewer bytes they take.
    type Numbers: Serialize + DeserializeOwned;

    /// Its key.
    fn key(&self) -> Self::Key;
    /// Its numbers.
    fn numbers(&self) -> Self::Numbers;
    /// The record that has these numbers, if any does.
    fn of(numbers: Self::Numbers) -> Option<Self>;
    /// The numbers that the bytes begin with, and what is behind them.
    fn unpack(bytes: &[u8]) -> Option<(Self::Numbers, &[u8])> {
        postcard::take_from_bytes(bytes).ok()
    }
}

/// Bytes that are no records in the order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no list of records")]
pub struct BadBytes;

/// Records in the order of their keys.
pub struct Packed<R> {
    bytes: Vec<u8>,
    records: PhantomData<R>,
}

impl<R: Record> Packed<R> {
    /// From what [`Packed::bytes`] gave.
    ///
    /// # Errors
    /// They are not.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BadBytes> {
        let packed = Self { bytes, records: PhantomData };
        let mut records = packed.iter();
        let (mut end, mut before) = (0, None);
        while !records.rest.is_empty() {
            let key = records.next().ok_or(BadBytes)?.key();
            let length = packed.bytes.len() - records.rest.len() - end - 1;
            end += length + 1;
            if packed.bytes[end - 1] as usize != length || before.is_some_and(|before| before >= key) {
                return Err(BadBytes);
            }
            before = Some(key);
        }
        Ok(packed)
    }

    /// All of them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Unpacks one after the other, from either end.
    pub fn iter(&self) -> Iter<'_, R> {
        Iter { rest: &self.bytes, records: PhantomData }
    }

    /// The bytes of one after the other, the last one first: for who wants to know a part of each.
    #[inline]
    pub fn bytes_backwards(&self) -> impl Iterator<Item = &[u8]> {
        let mut records = self.iter();
        std::iter::from_fn(move || records.last_bytes())
    }

    /// Changes the record with this key, or the lack of one. What there is cannot be taken out like this.
    pub fn change(&mut self, key: R::Key, change: impl FnOnce(Option<R>) -> Option<R>) {
        let mut records = self.iter();
        let last = records.next_back();
        let last_at = records.rest.len();
        match last.as_ref().map(Record::key) {
            Some(last_key) if last_key > key => self.change_earlier(key, change),
            Some(last_key) if last_key == key => {
                if let Some(changed) = change(last) {
                    self.bytes.truncate(last_at);
                    self.push(changed);
                }
            }
            _ => change(None).into_iter().for_each(|added| self.push(added)),
        }
    }

    fn change_earlier(&mut self, key: R::Key, change: impl FnOnce(Option<R>) -> Option<R>) {
        let mut records: Vec<R> = self.iter().collect();
        match records.binary_search_by(|record| record.key().cmp(&key)) {
            Ok(at) => change(Some(records[at])).into_iter().for_each(|changed| records[at] = changed),
            Err(at) => change(None).into_iter().for_each(|added| records.insert(at, added)),
        }
        *self = records.into_iter().collect();
    }

    fn push(&mut self, record: R) {
        packed(&record, |bytes| {
            self.bytes.reserve_exact(bytes.len());
            self.bytes.extend_from_slice(bytes);
        });
    }

    /// Uses records up, the first one first: those of which nothing is left go, and the first of which something is left
    /// becomes that and ends it. Its key stays.
    pub fn use_up(&mut self, mut left_of: impl FnMut(R) -> Option<R>) {
        let mut records = self.iter();
        let mut begin = 0;
        while let Some(record) = records.next() {
            let end = self.bytes.len() - records.rest.len();
            match left_of(record) {
                None => begin = end,
                Some(left) if begin == 0 && left == record => return,
                Some(left) => {
                    return packed(&left, |bytes| drop(self.bytes.splice(..end, bytes.iter().copied())));
                }
            }
        }
        *self = Self::default();
    }
}

/// Lends the bytes of one record and its length.
fn packed<R: Record>(record: &R, lend: impl FnOnce(&[u8])) {
    let mut buffer = [0; LONGEST];
    let bytes = postcard::to_slice(&record.numbers(), &mut buffer);
    let length = bytes.unwrap_or_else(|_| unreachable!("a record fits")).len();
    buffer[length] = length as u8;
    lend(&buffer[..=length]);
}

/// Numbers that the bytes begin with, if each takes four bytes at most, and what is behind them.
#[inline]
pub fn small_numbers<const N: usize>(mut bytes: &[u8]) -> Option<([u32; N], &[u8])> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        (*number, bytes) = small_number(bytes)?;
    }
    Some((numbers, bytes))
}

/// Seven bits a byte, the low ones first; the last byte is below 128.
#[inline]
fn small_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let put = |byte: &u8, at: u32| u32::from(byte & 0x7f) << (7 * at);
    match bytes {
        [a @ ..0x80, rest @ ..] => Some((put(a, 0), rest)),
        [a, b @ ..0x80, rest @ ..] => Some((put(a, 0) | put(b, 1), rest)),
        [a, b, c @ ..0x80, rest @ ..] => Some((put(a, 0) | put(b, 1) | put(c, 2), rest)),
        [a, b, c, d @ ..0x80, rest @ ..] => Some((put(a, 0) | put(b, 1) | put(c, 2) | put(d, 3), rest)),
        _ => None,
    }
}

/// What is packed as this number: 0, -1, 1, -2, …
pub const fn signed(number: u32) -> i32 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

/// Unpacks records as it goes.
pub struct Iter<'a, R> {
    rest: &'a [u8],
    records: PhantomData<R>,
}

impl<R: Record> Iterator for Iter<'_, R> {
    type Item = R;

    fn next(&mut self) -> Option<R> {
        let (numbers, rest) = R::unpack(self.rest)?;
        self.rest = rest.get(1..)?;
        R::of(numbers)
    }
}

impl<'a, R> Iter<'a, R> {
    #[inline]
    fn last_bytes(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_last()?;
        let (rest, record) = rest.split_at_checked(rest.len().checked_sub((*length).into())?)?;
        self.rest = rest;
        Some(record)
    }
}

impl<R: Record> DoubleEndedIterator for Iter<'_, R> {
    fn next_back(&mut self) -> Option<R> {
        R::of(R::unpack(self.last_bytes()?)?.0)
    }
}

/// Of records in the order of their keys.
impl<R: Record> FromIterator<R> for Packed<R> {
    fn from_iter<I: IntoIterator<Item = R>>(records: I) -> Self {
        let mut packed = Self::default();
        records.into_iter().for_each(|record| packed.push(record));
        packed
    }
}

impl<R> Default for Packed<R> {
    fn default() -> Self {
        Self { bytes: Vec::new(), records: PhantomData }
    }
}

impl<R> Clone for Packed<R> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), records: PhantomData }
    }
}

impl<R> PartialEq for Packed<R> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<R> Eq for Packed<R> {}

impl<R: Record + fmt::Debug> fmt::Debug for Packed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// As Base64 in JSON.
impl<R> Serialize for Packed<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD_NO_PAD.encode(&self.bytes))
    }
}

impl<'de, R: Record> Deserialize<'de> for Packed<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        Self::new(bytes).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Pair(u16, u64);

    impl Record for Pair {
        type Key = u16;
        type Numbers = (u16, u64);

        fn key(&self) -> u16 {
            self.0
        }

        fn numbers(&self) -> (u16, u64) {
            (self.0, self.1)
        }

        fn of((key, value): (u16, u64)) -> Option<Self> {
            Some(Self(key, value))
        }
    }

    #[test]
    fn bytes_that_are_no_records_in_order_are_refused() {
        let mut packed = Packed::default();
        for key in [3, 500] {
            packed.change(key, |_| Some(Pair(key, 7)));
        }
        let (good, first) = (packed.bytes().to_vec(), packed.bytes()[..3].to_vec());
        assert_eq!(Packed::new(good.clone()), Ok(packed));
        assert_eq!(Packed::<Pair>::new(good[..good.len() - 1].to_vec()), Err(BadBytes));
        assert_eq!(Packed::<Pair>::new([good, first].concat()), Err(BadBytes));
        assert_eq!(Packed::<Pair>::new(vec![3, 7, 2, 3, 7, 2]), Err(BadBytes)); // the same twice
        assert_eq!(Packed::<Pair>::new(vec![3, 7, 2, 4, 7, 1]), Err(BadBytes)); // longer than it says
        assert!(Packed::<Pair>::new(vec![3, 7, 2, 4, 7, 2]).is_ok());
        assert!(serde_json::from_str::<Packed<Pair>>("\"AwcC\"").is_ok());
        assert!(serde_json::from_str::<Packed<Pair>>("\"AwcD\"").is_err());
    }

    proptest! {
        #[test]
        fn they_agree_with_a_map(
            steps in proptest::collection::vec((0..300u16, 0..u64::MAX, any::<bool>()), 1..60),
            gone in 0..300u16,
            left in 0..u64::MAX,
        ) {
            let (mut packed, mut map) = (Packed::default(), BTreeMap::new());
            for (key, value, adds) in steps {
                let sum = |known: u64| known.wrapping_add(value);
                packed.change(key, |known| match known {
                    Some(Pair(_, known)) => Some(Pair(key, sum(known))),
                    None => adds.then_some(Pair(key, value)),
                });
                if adds || map.contains_key(&key) {
                    map.entry(key).and_modify(|known| *known = sum(*known)).or_insert(value);
                }
            }
            packed.use_up(|Pair(key, value)| (key >= gone).then_some(Pair(key, value & left)));
            map.retain(|key, _| *key >= gone);
            map.first_entry().into_iter().for_each(|mut first| *first.get_mut() &= left);
            let expected: Vec<_> = map.into_iter().map(|(key, value)| Pair(key, value)).collect();
            prop_assert_eq!(&packed.iter().collect::<Vec<_>>(), &expected);
            let mut backwards: Vec<_> = packed.iter().rev().collect();
            backwards.reverse();
            prop_assert_eq!(&backwards, &expected);
            prop_assert_eq!(packed.is_empty(), expected.is_empty());
            let json = serde_json::to_string(&packed).unwrap();
            prop_assert_eq!(serde_json::from_str::<Packed<Pair>>(&json).unwrap(), packed);
        }
    }
}
