//! Requests: what is sent, and what the replies mean.

use crate::history::{Key, Micro, OpId};
use crate::queue::QueueId;
use crate::token::{self, Token};
use kevy_resp::decode::Frame;
use std::collections::BTreeSet;

/// The words of a command.
pub(crate) type Command = Vec<Vec<u8>>;

/// What one reply must be.
#[derive(Clone, Debug)]
pub(crate) enum Expect {
    /// This simple string.
    Simple(&'static str),
    /// This bulk string.
    Bulk(Vec<u8>),
    /// Any map or array: `HELLO`.
    Any,
    /// The length of a value.
    Length(Key, Token),
    /// The value of a key.
    Value(Key),
    /// The values of keys.
    Values(Vec<Key>),
    /// Names of keys; these are looked for.
    Names(Vec<(Key, Vec<u8>)>),
    /// The replies of a transaction.
    Transaction(Vec<Self>),
    /// One of the values of the register.
    RegisterValue,
    /// The values of all keys of the register.
    RegisterValues(usize),
    /// How many keys of the register there are: none or all.
    RegisterCount(usize),
    /// The names of these keys: none or all.
    RegisterNames(usize),
    /// Version of the settings.
    Version,
    /// How long a queue is.
    Count,
    /// One of these queues and its first element, or nothing.
    Popped(Vec<(Key, Vec<u8>)>),
    /// The first element of the queue, or nothing.
    Taken(Key),
    /// All elements of a queue.
    Tokens,
}

/// What a request is about, beyond reading and appending.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum About {
    /// Nothing to be recorded.
    Nothing,
    /// An operation of the history.
    Op(OpId),
    /// A transaction; the reads behind the watches on which it depends.
    Exec(OpId, Vec<OpId>),
    /// Creates a volatile key that lives so many ms.
    Create(OpId, Key, i64),
    /// Writes the register.
    RegisterWrite(Token),
    /// Reads it.
    RegisterRead,
    /// A switch of the server to this version.
    Switch(Token),
    /// A look at the version.
    Look,
    /// An operation on queues.
    Queue(QueueId),
    /// Reads what is left in a queue.
    Rest(Key),
    /// The last request of its connection.
    Quit,
}

/// A request under way.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) about: About,
    pub(crate) commands: Vec<Command>,
    pub(crate) expects: Vec<Expect>,
    pub(crate) invoke: u64,
    pub(crate) invoke_ms: i64,
    pub(crate) answer: Answer,
    /// Replies that have come.
    pub(crate) replies: usize,
}

impl Request {
    pub(crate) fn new(about: About, commands: Vec<Command>, expects: Vec<Expect>) -> Self {
        let answer = Answer::default();
        Self { about, commands, expects, invoke: 0, invoke_ms: 0, answer, replies: 0 }
    }

    /// Takes in the next reply. Whether it was the last one.
    ///
    /// # Errors
    /// If it does not answer what was asked.
    pub(crate) fn take(&mut self, frame: &Frame) -> Result<bool, String> {
        let expect = &self.expects[self.replies];
        self.answer.read(expect, frame).map_err(|why| {
            let asked = self.commands.get(self.replies).map(|command| show(command));
            format!("{why}; asked: {asked:?}, expected: {expect:?}, got: {}", brief(frame))
        })?;
        self.replies += 1;
        Ok(self.replies == self.expects.len())
    }
}

/// What replies said.
#[derive(Clone, Default, Debug)]
pub(crate) struct Answer {
    pub(crate) micros: Vec<Micro>,
    pub(crate) lengths: Vec<(Token, i64)>,
    pub(crate) aborted: bool,
    pub(crate) register: Vec<Option<Token>>,
    pub(crate) version: Option<Token>,
    /// The element of a queue.
    pub(crate) taken: Option<(Key, Token)>,
    /// All elements of a queue.
    pub(crate) rest: Vec<Token>,
}

impl Answer {
    fn read(&mut self, expect: &Expect, frame: &Frame) -> Result<(), String> {
        match (expect, frame) {
            (Expect::Simple(text), Frame::Simple(got)) if text.as_bytes() == got => Ok(()),
            (Expect::Bulk(bytes), Frame::Bulk(got)) if bytes == got => Ok(()),
            (Expect::Any, frame) if !frame.is_error() => Ok(()),
            (Expect::Length(key, token), Frame::Integer(length)) => {
                self.micros.push(Micro::Append(*key, *token));
                self.lengths.push((*token, *length));
                Ok(())
            }
            (Expect::Value(key), frame) => self.value(*key, frame),
            (Expect::Values(keys), Frame::Array(frames)) if frames.len() == keys.len() => {
                keys.iter().zip(frames).try_for_each(|(key, frame)| self.value(*key, frame))
            }
            (Expect::Names(keys), Frame::Array(names)) => {
                let names: BTreeSet<&[u8]> = names.iter().filter_map(Frame::as_bytes).collect();
                let exists = |(key, name): &(Key, Vec<u8>)| {
                    Micro::Exists(*key, names.contains(name.as_slice()))
                };
                self.micros.extend(keys.iter().map(exists));
                Ok(())
            }
            (Expect::Transaction(expects), Frame::Array(frames))
                if frames.len() == expects.len() =>
            {
                expects.iter().zip(frames).try_for_each(|(expect, frame)| self.read(expect, frame))
            }
            (Expect::Transaction(_), frame) if frame.is_null() => {
                self.aborted = true;
                Ok(())
            }
            (Expect::RegisterValue, frame) => {
                self.register.push(register_value(frame)?);
                Ok(())
            }
            (Expect::RegisterValues(count), Frame::Array(frames)) if frames.len() == *count => {
                let values: Result<Vec<_>, _> = frames.iter().map(register_value).collect();
                self.register.extend(values?);
                Ok(())
            }
            (Expect::RegisterCount(all), Frame::Integer(count)) => whole(*count as usize, *all),
            (Expect::RegisterNames(all), Frame::Array(names)) => whole(names.len(), *all),
            (Expect::Version, Frame::Bulk(version)) => {
                let number = std::str::from_utf8(version).ok().and_then(|text| text.parse().ok());
                self.version = Some(number.ok_or("not a version")?);
                Ok(())
            }
            (Expect::Count, Frame::Integer(1..)) => Ok(()),
            (Expect::Popped(_) | Expect::Taken(_), frame) if frame.is_null() => Ok(()),
            (Expect::Popped(keys), Frame::Array(frames)) => match &frames[..] {
                [Frame::Bulk(name), Frame::Bulk(value)] => {
                    let key = keys.iter().find(|(_, other)| other == name);
                    let (key, _) = key.ok_or("not one of these queues")?;
                    self.take(*key, value)
                }
                _ => Err("not a name and an element".to_owned()),
            },
            (Expect::Taken(key), Frame::Bulk(value)) => self.take(*key, value),
            (Expect::Tokens, Frame::Array(frames)) => {
                let one = |frame: &Frame| match token::read(frame.as_bytes().unwrap_or_default())?[..]
                {
                    [token] => Ok(token),
                    _ => Err("not one token".to_owned()),
                };
                self.rest = frames.iter().map(one).collect::<Result<_, _>>()?;
                Ok(())
            }
            _ => Err("this is no answer to that".to_owned()),
        }
    }

    fn take(&mut self, key: Key, value: &[u8]) -> Result<(), String> {
        let [token] = token::read(value)?[..] else { return Err("not one token".to_owned()) };
        self.taken = Some((key, token));
        Ok(())
    }

    fn value(&mut self, key: Key, frame: &Frame) -> Result<(), String> {
        let tokens = match frame {
            Frame::Bulk(bytes) => token::read(bytes)?,
            frame if frame.is_null() => Vec::new(),
            _ => return Err("not a value".to_owned()),
        };
        self.micros.push(Micro::Read(key, tokens));
        Ok(())
    }
}

fn whole(count: usize, all: usize) -> Result<(), String> {
    if count == 0 || count == all {
        Ok(())
    } else {
        Err(format!("{count} of {all} keys that are always written together"))
    }
}

fn register_value(frame: &Frame) -> Result<Option<Token>, String> {
    match frame {
        Frame::Bulk(bytes) => match token::read(bytes)?[..] {
            [token] => Ok(Some(token)),
            _ => Err("not one token".to_owned()),
        },
        frame if frame.is_null() => Ok(None),
        _ => Err("not a value".to_owned()),
    }
}

/// A command for people: its long words cut.
pub(crate) fn show(command: &[Vec<u8>]) -> String {
    let word = |word: &Vec<u8>| match token::read(word) {
        Ok(tokens) if !tokens.is_empty() => format!("<{tokens:?}>"),
        _ => word[..word.len().min(40)].escape_ascii().to_string(),
    };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn brief(frame: &Frame) -> String {
    let mut text = format!("{frame:?}");
    if text.len() > 300 {
        text.truncate((0..=300).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0));
        text.push('…');
    }
    text
}
