//! Positions on the earth, kept as the scores of sorted sets.

mod get;
mod search;

use crate::sorted_sets::add::{Options, Pairs, add_pairs};
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::geohash::Position;
use kevy_data::number::LongDouble;
use kevy_keyspace::Keyspace;

/// Commands for positions.
pub const GEO: &[&Row] = &[
    &GEOADD,
    &get::GEODIST,
    &get::GEOHASH,
    &get::GEOPOS,
    &search::GEOSEARCH,
    &search::GEOSEARCHSTORE,
    &search::GEORADIUS,
    &search::GEORADIUS_RO,
    &search::GEORADIUSBYMEMBER,
    &search::GEORADIUSBYMEMBER_RO,
];

const GEOADD: Row = Row {
    name: "geoadd",
    arity: -5,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::GEO,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Adds members with positions to a sorted set, or changes their positions.",
        since: "3.2.0",
        group: Group::Geo,
        complexity: "O(log(N)) for each member added, where N is the number of members",
        syntax: "key [NX | XX] [CH] longitude:double latitude:double member [longitude:double latitude:double member ...]",
    },
    run: Run::Keys(geoadd),
};
fn geoadd(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let mut options = Options::default();
    loop {
        if args.option("NX") {
            options.nx = true;
        } else if args.option("XX") {
            options.xx = true;
        } else if args.option("CH") {
            options.ch = true;
        } else {
            break;
        }
    }
    if args.at_end() || !args.remaining().is_multiple_of(3) || (options.nx && options.xx) {
        return Err(Error::SYNTAX);
    }
    let mut pairs = Pairs::new();
    while !args.at_end() {
        pairs.push((position(&mut args)?.score(), args.bytes()?));
    }
    add_pairs(ks, &key, options, pairs, reply)
}

/// The two next arguments as longitude and latitude.
fn position(args: &mut Args<'_>) -> Result<Position, Error> {
    let (longitude, latitude) = (args.float()?, args.float()?);
    Position::new(longitude, latitude).ok_or_else(|| {
        let pair = format!("{longitude:.6},{latitude:.6}");
        Error::owned(format!("ERR invalid longitude,latitude pair {pair}"))
    })
}

/// The next argument as a unit of length: its metres.
fn unit(args: &mut Args<'_>) -> Result<f64, Error> {
    const UNITS: [(&str, f64); 4] = [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)];
    let name = args.bytes()?;
    let named = |(unit, _): &&(&str, f64)| name.eq_ignore_ascii_case(unit.as_bytes());
    let unknown = Error::new("ERR unsupported unit provided. please use M, KM, FT, MI");
    UNITS.iter().find(named).map(|(_, metres)| *metres).ok_or(unknown)
}

/// Writes a length with four digits behind the point.
fn write_distance(reply: &mut Reply<'_>, length: f64) {
    let parts = (length * 10_000.0).round_ties_even() as i64;
    let (whole, part) = (parts / 10_000, parts % 10_000);
    reply.bulk(format!("{whole}.{part:04}").as_bytes());
}

/// Writes longitude and latitude with all their digits.
fn write_position(reply: &mut Reply<'_>, position: Position) {
    reply.array(2);
    reply.double_text(&LongDouble::from_f64(position.longitude).to_text());
    reply.double_text(&LongDouble::from_f64(position.latitude).to_text());
}
