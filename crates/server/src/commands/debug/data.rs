//! Parts of `DEBUG` over data.

use std::time::Duration;

use kevy_command::{Args, Effect, Error, Reply};
use kevy_keyspace::{Expiry, Keyspace, Record, StringRef, Text};

use super::expect;

/// `DEBUG SLEEP`: nobody gets at data meanwhile.
pub(super) fn sleep(
    _: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    expect(&args, 1..=1)?;
    let seconds = args.get(2).and_then(|text| str::from_utf8(text).ok()?.parse::<f64>().ok());
    // What is no number is 0, as in Redis.
    let pause = Duration::try_from_secs_f64(seconds.unwrap_or(0.0)).unwrap_or_default();
    std::thread::sleep(pause);
    reply.ok();
    Ok(Effect::none())
}

/// `DEBUG POPULATE count [prefix] [size]`: keys that exist already stay as they are. As in Redis
/// the keys are not recorded in the log.
pub(super) fn populate(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    expect(&args, 1..=3)?;
    args.seek(2);
    let count = positive(&mut args)?;
    let prefix = if args.at_end() { b"key" } else { args.bytes()? };
    let size = if args.at_end() { 0 } else { positive(&mut args)? };
    if size > ks.max_bulk() {
        return Err(Error::new("ERR string exceeds maximum allowed size (proto-max-bulk-len)"));
    }
    let (mut name, mut value) = (Vec::new(), Vec::new());
    for number in 0..count {
        name.clear();
        name.extend_from_slice(prefix);
        name.extend_from_slice(format!(":{number}").as_bytes());
        let key = ks.key(&name);
        if ks.find(&key).is_some() {
            continue;
        }
        value.clear();
        value.extend_from_slice(format!("value:{number}").as_bytes());
        if size > 0 {
            value.resize(size, 0);
        }
        ks.set_string(&key, Text::Bytes(&value), Expiry::Clear);
    }
    reply.ok();
    Ok(Effect::none())
}

fn positive(args: &mut Args<'_>) -> Result<usize, Error> {
    let number = args.int().ok().and_then(|number| usize::try_from(number).ok());
    number.ok_or(Error::new("ERR value is out of range, must be positive"))
}

/// `DEBUG OBJECT key`
pub(super) fn object(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    expect(&args, 1..=2)?;
    args.seek(2);
    let key = args.key()?;
    let fast = args.option("FAST");
    let now = ks.now_ms() / 1000;
    let record = ks.find(&key).ok_or(Error::NO_KEY)?;
    let clock = i64::from(record.clock());
    // The clock has 24 bits and begins anew.
    let idle = (now - clock).rem_euclid(1 << 24);
    let encoding = record.encoding().name();
    let length = serialized_len(record);
    let length = if fast { String::new() } else { format!(" serializedlength:{length}") };
    reply.simple(&format!(
        "Value at:{record:p} refcount:1 encoding:{encoding}{length} lru:{clock} \
         lru_seconds_idle:{idle}"
    ));
    Ok(Effect::none())
}

/// Length of the value in an RDB file, without compression.
fn serialized_len(record: &Record) -> usize {
    match record.string() {
        Some(StringRef::Int(number)) if i8::try_from(number).is_ok() => 2,
        Some(StringRef::Int(number)) if i16::try_from(number).is_ok() => 3,
        Some(StringRef::Int(number)) if i32::try_from(number).is_ok() => 5,
        Some(string) => match string.len() {
            len @ ..64 => 1 + len,
            len @ ..16_384 => 2 + len,
            len => 5 + len,
        },
        None => 0,
    }
}
