//! Finding members by where they are.

use super::{position, unit, write_distance, write_position};
use crate::row::{Begin, Find};
use crate::sorted_sets::{store, write_member};
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::geohash::{Area, Position, Shape};
use kevy_data::sorted_set::{ScoreBound, ScoreRange, SortedSet, SortedSetBuilder, SortedSetRef};
use kevy_data::{IntBuffer, Item};
use kevy_keyspace::{Key, Keyspace};

pub(super) const GEOSEARCH: Row = Row {
    name: "geosearch",
    arity: -7,
    flags: Flags::READONLY,
    categories: Categories::GEO,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the members inside a circle, a rectangle or a polygon.",
        since: "6.2.0",
        group: Group::Geo,
        complexity: "O(N+log(M)) where N is the number of members in the cells around the area and M that of those inside",
        syntax: "key <<FROMMEMBER member | FROMLONLAT longitude:double latitude:double> <BYRADIUS radius:double <M | KM | FT | MI> | BYBOX width:double height:double <M | KM | FT | MI>> | BYPOLYGON num-vertices:integer longitude:double latitude:double longitude:double latitude:double longitude:double latitude:double [longitude:double latitude:double ...]> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]",
    },
    run: Run::Keys(geosearch),
};
fn geosearch(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    search(ks, args, Command::Search, reply)
}

pub(super) const GEOSEARCHSTORE: Row = Row {
    name: "geosearchstore",
    arity: -8,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::GEO,
    keys: &[
        KeySpec::one(1, KeyFlags::OW.union(KeyFlags::UPDATE)),
        KeySpec::one(2, KeyFlags::RO.union(KeyFlags::ACCESS)),
    ],
    tips: &[],
    doc: Doc {
        summary: "Keeps the members inside a circle, a rectangle or a polygon under another key.",
        since: "6.2.0",
        group: Group::Geo,
        complexity: "O(N+log(M)) where N is the number of members in the cells around the area and M that of those inside",
        syntax: "destination source <<FROMMEMBER member | FROMLONLAT longitude:double latitude:double> <BYRADIUS radius:double <M | KM | FT | MI> | BYBOX width:double height:double <M | KM | FT | MI>> | BYPOLYGON num-vertices:integer longitude:double latitude:double longitude:double latitude:double longitude:double latitude:double [longitude:double latitude:double ...]> [COUNT count [ANY]] [ASC | DESC] [STOREDIST]",
    },
    run: Run::Keys(geosearchstore),
};
fn geosearchstore(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    search(ks, args, Command::SearchStore, reply)
}

pub(super) const GEORADIUS: Row = Row {
    name: "georadius",
    arity: -6,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::MOVABLE_KEYS),
    categories: Categories::GEO,
    keys: &[
        KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS)),
        KeySpec {
            flags: KeyFlags::OW.union(KeyFlags::UPDATE),
            begin: Begin::Keyword { word: "STORE", from: 6, values: &[] },
            find: Find::Range { last: 0, step: 1, limit: 0 },
            variant: None,
        },
        KeySpec {
            flags: KeyFlags::OW.union(KeyFlags::UPDATE),
            begin: Begin::Keyword { word: "STOREDIST", from: 6, values: &[] },
            find: Find::Range { last: 0, step: 1, limit: 0 },
            variant: None,
        },
    ],
    tips: &[],
    doc: Doc {
        summary: "Returns the members inside a circle around a position, or keeps them under a key.",
        since: "3.2.0",
        group: Group::Geo,
        complexity: "O(N+log(M)) where N is the number of members in the cells around the area and M that of those inside",
        syntax: "key longitude:double latitude:double radius:double <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC] [STORE key | STOREDIST key]",
    },
    run: Run::Keys(georadius),
};
fn georadius(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    search(ks, args, Command::Radius { around_member: false, may_store: true }, reply)
}

pub(super) const GEORADIUS_RO: Row = Row {
    name: "georadius_ro",
    arity: -6,
    flags: Flags::READONLY,
    categories: Categories::GEO,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the members inside a circle around a position.",
        since: "3.2.10",
        group: Group::Geo,
        complexity: "O(N+log(M)) where N is the number of members in the cells around the area and M that of those inside",
        syntax: "key longitude:double latitude:double radius:double <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]",
    },
    run: Run::Keys(georadius_ro),
};
fn georadius_ro(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    search(ks, args, Command::Radius { around_member: false, may_store: false }, reply)
}

pub(super) const GEORADIUSBYMEMBER: Row = Row {
    name: "georadiusbymember",
    arity: -5,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::MOVABLE_KEYS),
    categories: Categories::GEO,
    keys: &[
        KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS)),
        KeySpec {
            flags: KeyFlags::OW.union(KeyFlags::UPDATE),
            begin: Begin::Keyword { word: "STORE", from: 5, values: &[] },
            find: Find::Range { last: 0, step: 1, limit: 0 },
            variant: None,
        },
        KeySpec {
            flags: KeyFlags::OW.union(KeyFlags::UPDATE),
            begin: Begin::Keyword { word: "STOREDIST", from: 5, values: &[] },
            find: Find::Range { last: 0, step: 1, limit: 0 },
            variant: None,
        },
    ],
    tips: &[],
    doc: Doc {
        summary: "Returns the members inside a circle around a member, or keeps them under a key.",
        since: "3.2.0",
        group: Group::Geo,
        complexity: "O(N+log(M)) where N is the number of members in the cells around the area and M that of those inside",
        syntax: "key member radius:double <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC] [STORE key | STOREDIST key]",
    },
    run: Run::Keys(georadiusbymember),
};
fn georadiusbymember(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    search(ks, args, Command::Radius { around_member: true, may_store: true }, reply)
}

pub(super) const GEORADIUSBYMEMBER_RO: Row = Row {
    name: "georadiusbymember_ro",
    arity: -5,
    flags: Flags::READONLY,
    categories: Categories::GEO,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the members inside a circle around a member.",
        since: "3.2.10",
        group: Group::Geo,
        complexity: "O(N+log(M)) where N is the number of members in the cells around the area and M that of those inside",
        syntax: "key member radius:double <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]",
    },
    run: Run::Keys(georadiusbymember_ro),
};
fn georadiusbymember_ro(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    search(ks, args, Command::Radius { around_member: true, may_store: false }, reply)
}

/// Which command it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Search,
    SearchStore,
    Radius { around_member: bool, may_store: bool },
}

/// What stands in the middle.
#[derive(Clone, Copy)]
enum Centre {
    Position(Position),
    /// A member of a set that is not there.
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
}

/// A shape with the metres of its unit of length.
struct Measured {
    shape: Shape,
    unit: f64,
}

/// What is asked for.
#[derive(Default)]
struct Request<'a> {
    centre: Option<Centre>,
    from_member: bool,
    from_position: bool,
    measured: Option<Measured>,
    with_distance: bool,
    with_score: bool,
    with_position: bool,
    order: Option<Order>,
    /// As soon as so many are found, it is enough.
    any: bool,
    /// 0: no limit.
    count: usize,
    /// The key under which members are kept, and its argument.
    destination: Option<(usize, Key<'a>)>,
    /// They are kept with their distances instead of their positions.
    store_distance: bool,
}

fn search(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    command: Command,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let mut request = Request::default();
    if command == Command::SearchStore {
        request.destination = Some((1, args.key()?));
    }
    let source = args.key()?;
    let limits = ks.limits();
    let set = ks.read::<SortedSet>(&source)?;
    if let Command::Radius { around_member, .. } = command {
        request.read_circle(&mut args, around_member, set)?;
    }
    while !args.at_end() {
        request.read_option(&mut args, command, set)?;
    }
    request.check(command, args.name())?;
    let found = match (set, request.area()) {
        (Some(set), Some(area)) => request.find(set, &area),
        _ => Vec::new(),
    };
    let Some((at, destination)) = &request.destination else {
        request.write(&found, reply);
        return Ok(Effect::none());
    };
    let (mut builder, mut buffer) = (SortedSetBuilder::new(), IntBuffer::new());
    for found in &found {
        let score =
            if request.store_distance { found.distance / request.unit() } else { found.score };
        builder.add(found.member.text(&mut buffer), |_| score);
    }
    let value = builder.finish(limits);
    let event = match command {
        Command::Radius { .. } => "georadiusstore",
        _ => "geosearchstore",
    };
    let changes = u32::try_from(found.len().max(1)).unwrap_or(u32::MAX);
    let effect = store(ks, (*at, destination), value, event, reply);
    Ok(if effect.changes == 0 { effect } else { Effect { changes, ..effect } })
}

/// A length that must not be negative.
fn length(args: &mut Args<'_>, wrong: &'static str) -> Result<f64, Error> {
    args.float().map_err(|_| Error::new(wrong))
}

fn circle(args: &mut Args<'_>) -> Result<Measured, Error> {
    let radius = length(args, "ERR need numeric radius")?;
    if radius < 0.0 {
        return Err(Error::new("ERR radius cannot be negative"));
    }
    let unit = unit(args)?;
    Ok(Measured { shape: Shape::Circle { radius: radius * unit }, unit })
}

fn rectangle(args: &mut Args<'_>) -> Result<Measured, Error> {
    let width = length(args, "ERR need numeric width")?;
    let height = length(args, "ERR need numeric height")?;
    if height < 0.0 || width < 0.0 {
        return Err(Error::new("ERR height or width cannot be negative"));
    }
    let unit = unit(args)?;
    Ok(Measured { shape: Shape::Rectangle { width: width * unit, height: height * unit }, unit })
}

fn polygon(args: &mut Args<'_>) -> Result<Measured, Error> {
    let wrong = Error::new("ERR invalid number of vertices");
    let count = args.int_from(i32::MIN.into(), wrong.clone())?;
    let count = i32::try_from(count).map_err(|_| wrong)?;
    let most = args.remaining() / 2;
    let count = usize::try_from(count).ok().filter(|count| (3..=most).contains(count));
    let few = Error::new("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices");
    let corners = (0..count.ok_or(few)?).map(|_| position(args)).collect::<Result<_, _>>()?;
    Ok(Measured { shape: Shape::Polygon(corners), unit: 1.0 })
}

/// Where a member is; it must be there, if only the set is.
fn member(member: &[u8], set: Option<SortedSetRef<'_>>) -> Result<Centre, Error> {
    let Some(set) = set else { return Ok(Centre::Unknown) };
    let score = set.score(member);
    let unknown = Error::new("ERR could not decode requested zset member");
    score.map(|score| Centre::Position(Position::of_score(score))).ok_or(unknown)
}

impl<'a> Request<'a> {
    /// The circle of `GEORADIUS`, which stands in front of all options.
    fn read_circle(
        &mut self,
        args: &mut Args<'a>,
        around_member: bool,
        set: Option<SortedSetRef<'_>>,
    ) -> Result<(), Error> {
        if !around_member {
            self.centre = Some(Centre::Position(position(args)?));
        } else if set.is_some() {
            self.centre = Some(member(args.bytes()?, set)?);
        } else {
            // As in Redis, a circle in an absent set is not looked at.
            args.seek(args.position() + 3);
            return Ok(());
        }
        self.measured = Some(circle(args)?);
        Ok(())
    }

    fn read_option(
        &mut self,
        args: &mut Args<'a>,
        command: Command,
        set: Option<SortedSetRef<'_>>,
    ) -> Result<(), Error> {
        // How many arguments stand behind the word.
        let behind = args.remaining() - 1;
        if args.option("WITHDIST") {
            self.with_distance = true;
        } else if args.option("WITHHASH") {
            self.with_score = true;
        } else if args.option("WITHCOORD") {
            self.with_position = true;
        } else if args.option("ANY") {
            self.any = true;
        } else if args.option("ASC") {
            self.order = Some(Order::Ascending);
        } else if args.option("DESC") {
            self.order = Some(Order::Descending);
        } else if behind >= 1 && args.option("COUNT") {
            let count = usize::try_from(args.int()?).ok().filter(|count| *count > 0);
            self.count = count.ok_or(Error::new("ERR COUNT must be > 0"))?;
        } else if let Command::Radius { may_store, .. } = command {
            let stored = may_store && behind >= 1 && self.read_destination(args)?;
            return if stored { Ok(()) } else { Err(Error::SYNTAX) };
        } else if command == Command::SearchStore && args.option("STOREDIST") {
            self.store_distance = true;
        } else {
            return self.read_area(args, set, behind);
        }
        Ok(())
    }

    /// `STORE key` or `STOREDIST key`. The keys of a call are found by the first of each of these
    /// words: so, other than in Redis, there is one of them at most.
    fn read_destination(&mut self, args: &mut Args<'a>) -> Result<bool, Error> {
        let distance = args.option("STOREDIST");
        if !distance && !args.option("STORE") {
            return Ok(false);
        }
        if self.destination.is_some() {
            return Err(Error::SYNTAX);
        }
        self.store_distance = distance;
        self.destination = Some((args.position(), args.key()?));
        Ok(true)
    }

    /// Centre and shape, as the newer commands name them.
    fn read_area(
        &mut self,
        args: &mut Args<'a>,
        set: Option<SortedSetRef<'_>>,
        behind: usize,
    ) -> Result<(), Error> {
        let shape = self.measured.as_ref().map(|measured| &measured.shape);
        let is_polygon = matches!(shape, Some(Shape::Polygon(_)));
        let (from_member, from_position) = (self.from_member, self.from_position);
        if behind >= 1 && !from_position && !is_polygon && args.option("FROMMEMBER") {
            self.centre = Some(member(args.bytes()?, set)?);
            self.from_member = true;
        } else if behind >= 2 && !from_member && !is_polygon && args.option("FROMLONLAT") {
            self.centre = Some(Centre::Position(position(args)?));
            self.from_position = true;
        } else if behind >= 2
            && matches!(shape, None | Some(Shape::Circle { .. }))
            && args.option("BYRADIUS")
        {
            self.measured = Some(circle(args)?);
        } else if behind >= 3
            && matches!(shape, None | Some(Shape::Rectangle { .. }))
            && args.option("BYBOX")
        {
            self.measured = Some(rectangle(args)?);
        } else if behind >= 2
            && self.centre.is_none()
            && matches!(shape, None | Some(Shape::Polygon(_)))
            && args.option("BYPOLYGON")
        {
            self.measured = Some(polygon(args)?);
        } else {
            return Err(Error::SYNTAX);
        }
        Ok(())
    }

    /// What the options must have and must not have together.
    fn check(&self, command: Command, name: &[u8]) -> Result<(), Error> {
        let shown = self.with_distance || self.with_score || self.with_position;
        if self.destination.is_some() && shown {
            let what = match command {
                Command::Radius { .. } => "STORE option in GEORADIUS",
                _ => "GEOSEARCHSTORE",
            };
            return Err(Error::owned(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        if !matches!(command, Command::Radius { .. }) {
            let shape = self.measured.as_ref().map(|measured| &measured.shape);
            if self.centre.is_none() && !matches!(shape, Some(Shape::Polygon(_))) {
                let text = "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for ";
                return Err(Error::quoting(text, name, ""));
            }
            if shape.is_none() {
                let text = "ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for ";
                return Err(Error::quoting(text, name, ""));
            }
        }
        if self.any && self.count == 0 {
            return Err(Error::new("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// Metres of the unit of length.
    fn unit(&self) -> f64 {
        self.measured.as_ref().map_or(1.0, |measured| measured.unit)
    }

    fn area(&self) -> Option<Area> {
        let shape = self.measured.as_ref()?.shape.clone();
        match (self.centre, &shape) {
            (Some(Centre::Position(centre)), _) => Some(Area::new(centre, shape)),
            // Its centre follows from its corners.
            (None, Shape::Polygon(corners)) => Some(Area::new(*corners.first()?, shape)),
            _ => None,
        }
    }

    /// The members inside, in the order and number that are asked for.
    fn find<'s>(&self, set: SortedSetRef<'s>, area: &Area) -> Vec<Found<'s>> {
        let mut all = Vec::new();
        let enough = |all: &Vec<_>| self.any && all.len() >= self.count;
        for (min, max) in area.scores() {
            let range = ScoreRange {
                min: ScoreBound { score: min, open: false },
                max: ScoreBound { score: max, open: true },
            };
            for (member, score) in set.range(set.scores(&range)) {
                if enough(&all) {
                    break;
                }
                let position = Position::of_score(score);
                let inside = area.distance(position);
                all.extend(inside.map(|distance| Found { member, score, position, distance }));
            }
        }
        // Of some of them, the nearest are meant.
        let nearest = (self.count > 0 && !self.any).then_some(Order::Ascending);
        match self.order.or(nearest) {
            Some(Order::Ascending) => all.sort_by(|a, b| a.distance.total_cmp(&b.distance)),
            Some(Order::Descending) => all.sort_by(|a, b| b.distance.total_cmp(&a.distance)),
            None => {}
        }
        if self.count > 0 {
            all.truncate(self.count);
        }
        all
    }

    fn write(&self, found: &[Found<'_>], reply: &mut Reply<'_>) {
        let parts = [self.with_distance, self.with_score, self.with_position];
        let parts = parts.into_iter().filter(|part| *part).count();
        reply.array(found.len());
        for found in found {
            if parts > 0 {
                reply.array(1 + parts);
            }
            write_member(reply, found.member);
            if self.with_distance {
                write_distance(reply, found.distance / self.unit());
            }
            if self.with_score {
                reply.integer(found.score as i64);
            }
            if self.with_position {
                write_position(reply, found.position);
            }
        }
    }
}

/// A member inside the area.
struct Found<'s> {
    member: Item<'s>,
    score: f64,
    position: Position,
    /// Metres from the centre.
    distance: f64,
}
