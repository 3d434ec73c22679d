//! `DEBUG PROTOCOL`: a reply of each type, for tests of clients.

use kevy_command::{After, Args, Call, Error, Reply};
use kevy_resp::Proto;

use super::expect;

pub(super) fn protocol(
    _: &mut Call<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, Error> {
    expect(&args, 1..=1)?;
    match args.get(2).unwrap_or_default().to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12_345),
        b"double" => reply.double_text("3.141"),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.integer(number);
                reply.boolean(number == 1);
            }
        }
        b"attrib" => attribute(reply),
        b"push" => push(reply)?,
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        _ => {
            return Err(Error::new(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(After::Continue)
}

/// An attribute is no reply, so one follows.
fn attribute(reply: &mut Reply<'_>) {
    if reply.attribute(1) {
        reply.bulk(b"key-popularity");
        reply.array(2);
        reply.bulk(b"key:123");
        reply.integer(90);
    }
    reply.bulk(b"Some real reply following the attribute");
}

/// A push is no reply, so one follows.
fn push(reply: &mut Reply<'_>) -> Result<(), Error> {
    if reply.proto() == Proto::Resp2 {
        return Err(Error::new("ERR RESP2 is not supported by this command"));
    }
    reply.push(2);
    reply.bulk(b"server-cpu-usage");
    reply.integer(42);
    reply.bulk(b"Some real reply following the push reply");
    Ok(())
}
