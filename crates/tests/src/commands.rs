//! The commands that are compared with the oracle, and how their replies compare.

use crate::grammar::{Arguments, Template};
use anyhow::{Context, Result};

/// Templates with their weights. See [`crate::grammar`] for the notation.
const TEMPLATES: &[(u32, &str)] = &[
    // Strings
    (10, "SET key value"),
    (
        6,
        "SET key value (NX|XX|GET|KEEPTTL|EX seconds|PX milliseconds|EXAT unix-seconds|PXAT unix-milliseconds)...",
    ),
    (8, "GET key"),
    (5, "APPEND key value"),
    (3, "DECR key"),
    (3, "DECRBY key integer"),
    (3, "GETDEL key"),
    (3, "GETEX key [PERSIST|EX seconds|PX milliseconds|EXAT unix-seconds|PXAT unix-milliseconds]"),
    (
        1,
        "GETEX key (PERSIST|EX seconds|PX milliseconds|EXAT unix-seconds|PXAT unix-milliseconds)...",
    ),
    (4, "GETRANGE key offset offset"),
    (2, "GETSET key value"),
    (4, "INCR key"),
    (4, "INCRBY key integer"),
    (5, "INCRBYFLOAT key float"),
    (3, "LCS key key [LEN] [IDX] [MINMATCHLEN integer] [WITHMATCHLEN]"),
    (4, "MGET key..."),
    (4, "MSET (key value)..."),
    (3, "MSETNX (key value)..."),
    (2, "PSETEX key milliseconds value"),
    (2, "SETEX key seconds value"),
    (3, "SETNX key value"),
    (5, "SETRANGE key offset value"),
    (3, "STRLEN key"),
    (2, "SUBSTR key offset offset"),
    // Bits
    (4, "SETBIT bitmap bit-offset (0|1|junk)"),
    (3, "GETBIT bitmap bit-offset"),
    (3, "BITCOUNT bitmap [offset offset [BYTE|BIT|junk]]"),
    (4, "BITPOS bitmap (0|1) [offset [offset [BYTE|BIT|junk]]]"),
    (1, "BITPOS bitmap (0|1|2|junk) offset"),
    (4, "BITOP (AND|OR|XOR) bitmap bitmap..."),
    (2, "BITOP (NOT|junk) bitmap bitmap"),
    (
        5,
        "BITFIELD bitmap (GET bit-type bit-offset|[OVERFLOW (WRAP|SAT|FAIL|junk)] (SET|INCRBY) bit-type bit-offset integer)...",
    ),
    (2, "BITFIELD bitmap (GET bit-type bit-offset)..."),
    (2, "BITFIELD_RO bitmap (GET bit-type bit-offset)... [SET bit-type bit-offset integer]"),
    // Lists
    (8, "LPUSH list (member|value)..."),
    (8, "RPUSH list (member|value)..."),
    (6, "RPUSH list member... member... member... member..."),
    (2, "(LPUSHX|RPUSHX) list member..."),
    (4, "(LPOP|RPOP) list"),
    (4, "(LPOP|RPOP) list (0|1|2|5|100|count)"),
    (2, "LMPOP (1|2|3|junk) list list (LEFT|RIGHT|junk) [COUNT (1|3|100|count)]"),
    (2, "LMPOP 2 list list (LEFT|RIGHT) [COUNT (1|3|100|count)]"),
    (2, "LLEN list"),
    (4, "LINDEX list index"),
    (4, "LRANGE list index index"),
    (3, "LRANGE list 0 -1"),
    (3, "LSET list index (member|value)"),
    (4, "LINSERT list (BEFORE|AFTER) member (member|value)"),
    (1, "LINSERT list junk member member"),
    (3, "LREM list (0|1|-1|2|-3|100|-9223372036854775807|junk) member"),
    (3, "LTRIM list index index"),
    (2, "LTRIM list (0|1|-40|-10) (-1|-2|40|10)"),
    (
        4,
        "LPOS list member (RANK (1|-1|2|-2|0|junk)|COUNT (0|1|3|-1|junk)|MAXLEN (0|1|10|-1|junk))...",
    ),
    (2, "LPOS list member"),
    (4, "LMOVE list list (LEFT|RIGHT) (LEFT|RIGHT)"),
    (1, "LMOVE list list (LEFT|junk) (RIGHT|junk)"),
    (3, "RPOPLPUSH list list"),
    (1, "=(BLPOP|BRPOP) (list|key)... (0.01|-1|XX)"),
    (1, "=BLMOVE list list (LEFT|RIGHT) (LEFT|RIGHT|XX) (0.01|-1|XX)"),
    (1, "=BRPOPLPUSH list list (0.01|-1|XX)"),
    (1, "=BLMPOP (0.01|-1|XX) (2|0|XX) list list (LEFT|RIGHT|XX) [COUNT (1|3|100|0)]"),
    (1, "=CONFIG SET LIST-MAX-LISTPACK-SIZE (-1|-2|1|3|10|128)"),
    // Sets
    (8, "SADD set member..."),
    (2, "SADD set integer..."),
    (5, "SREM set member..."),
    (3, "SMOVE set set member"),
    (3, "SCARD set"),
    (3, "SISMEMBER set member"),
    (3, "SMISMEMBER set member..."),
    (3, "SMEMBERS set"),
    // What is popped by chance is not the same on two servers: so all is popped, or nothing.
    (1, "=SPOP set (100000|9223372036854775807|0|-1|junk)"),
    (1, "=SPOP (hash|key) [100000] [junk]"),
    (3, "SRANDMEMBER set [(0|1|3|-3|1000|-1000|junk|9223372036854775807|-9223372036854775808)]"),
    (3, "SINTER set..."),
    (3, "SINTERCARD (1|2|3|junk) set... [LIMIT (count|integer)]"),
    (3, "SINTERSTORE set set..."),
    (3, "SUNION set..."),
    (3, "SUNIONSTORE set set..."),
    (3, "SDIFF set..."),
    (3, "SDIFFSTORE set set..."),
    (2, "SSCAN set (0|junk|count) (MATCH pattern|COUNT count|junk)..."),
    (1, "=CONFIG SET SET-MAX-INTSET-ENTRIES (4|512)"),
    // HyperLogLogs
    (5, "PFADD hll [value...]"),
    (4, "PFCOUNT hll..."),
    (3, "PFMERGE hll [hll...]"),
    (1, "PFDEBUG (DECODE|ENCODING|TODENSE|junk) hll"),
    // Hashes
    (8, "HSET hash (field value)..."),
    (3, "HSET hash (field integer)..."),
    (2, "HMSET hash (field value)..."),
    (3, "HSETNX hash field value"),
    (5, "HDEL hash field..."),
    (4, "HGET hash field"),
    (3, "HMGET hash field..."),
    (3, "HGETALL hash"),
    (2, "HKEYS hash"),
    (2, "HVALS hash"),
    (2, "HLEN hash"),
    (2, "HSTRLEN hash field"),
    (2, "HEXISTS hash field"),
    (5, "HINCRBY hash field integer"),
    (5, "HINCRBYFLOAT hash field float"),
    (
        2,
        "HRANDFIELD hash [(0|1|3|-3|1000|-1000|junk|9223372036854775807|-9223372036854775808) [WITHVALUES|junk]]",
    ),
    (1, "HRANDFIELD hash (4611686018427387904|-4611686018427387904) WITHVALUES"),
    (2, "HSCAN hash (0|junk|count) (MATCH pattern|COUNT count|junk)..."),
    (1, "=CONFIG SET HASH-MAX-LISTPACK-ENTRIES (4|512)"),
    (1, "=CONFIG SET HASH-MAX-LISTPACK-VALUE (8|64)"),
    // Streams. Ids that depend on the time differ, so entries are given theirs; nothing waits.
    (8, "=XADD stream (entry-id|38-*|39-*|40-*) (field value)..."),
    (
        4,
        "=XADD stream (NOMKSTREAM|MAXLEN [=|~] (0|1|5|count)|MINID [=|~] id|LIMIT (0|5|-1)|NOSUCH)... 40-* field value",
    ),
    (3, "=XADD stream (MAXLEN|MINID) ~ 5 LIMIT (0|5|1000) 40-* field value [field]"),
    (2, "XLEN stream"),
    (4, "XRANGE stream (-|id) (+|id) [COUNT count]"),
    (4, "XREVRANGE stream (+|id) (-|id) [COUNT count]"),
    (3, "XDEL stream id..."),
    (3, "XTRIM stream (MAXLEN|MINID) [=|~] (0|1|5|20|junk) [LIMIT (0|5|junk)]"),
    (1, "XTRIM stream (MAXLEN count|MINID id|LIMIT count|junk)..."),
    (1, "XSETID stream (50-0|junk) [ENTRIESADDED (100|junk)] [MAXDELETEDID (49-0|51-0)]"),
    (3, "XREAD [COUNT count] STREAMS stream (entry-id|$|>)"),
    (2, "XREAD [COUNT count] STREAMS stream stream entry-id (entry-id|0)"),
    (1, "XREAD (COUNT count|STREAMS|NOACK|GROUP G1 ALICE|junk)... stream entry-id"),
    (
        6,
        "XREADGROUP GROUP (G1|G1|G2) (ALICE|BOB) [COUNT (1|2|count)] [NOACK] STREAMS stream (>|>|0|entry-id|$)",
    ),
    (2, "XREADGROUP GROUP G1 (ALICE|BOB) STREAMS stream stream (>|0) (>|entry-id)"),
    (1, "XREADGROUP (COUNT count|STREAMS|NOACK|GROUP G1 ALICE|junk)... stream entry-id"),
    (8, "XGROUP CREATE stream G1 0 MKSTREAM"),
    (5, "XGROUP CREATE stream (G1|G1|G2) ($|0|id) [MKSTREAM] [ENTRIESREAD (0|5|-1|-2|junk)]"),
    (2, "XGROUP SETID stream (G1|G1|G2) ($|0|id) [ENTRIESREAD (0|5|-1|junk)]"),
    (1, "XGROUP DESTROY stream (G1|G1|G2)"),
    (2, "XGROUP CREATECONSUMER stream (G1|G1|G2) (ALICE|BOB|CAROL)"),
    (1, "XGROUP DELCONSUMER stream (G1|G1|G2) (ALICE|BOB|CAROL)"),
    (1, "XGROUP (CREATE|SETID|junk) stream [G1] [junk] [junk]"),
    (4, "XACK stream (G1|G1|G2) id..."),
    (
        4,
        "XCLAIM stream (G1|G1|G2) (ALICE|BOB|CAROL) (0|0|-1|100000000|junk) id... (IDLE (0|5|junk)|TIME (0|1000|junk)|RETRYCOUNT (0|7|-1|junk)|FORCE|JUSTID|LASTID id)...",
    ),
    (2, "XCLAIM stream (G1|G1|G2) (ALICE|BOB) 0 id... FORCE [JUSTID]"),
    (
        3,
        "XAUTOCLAIM stream (G1|G1|G2) (ALICE|BOB) (0|0|-1|100000000|junk) (-|id) [COUNT (1|2|count)] [JUSTID]",
    ),
    (3, "XPENDING stream (G1|G1|G2)"),
    (3, "XPENDING stream (G1|G1|G2) [IDLE (0|100000000|junk)] (-|id) (+|id) (count|10) [ALICE]"),
    (2, "XINFO GROUPS stream"),
    (1, "XINFO CONSUMERS stream (G1|G1|G2)"),
    (2, "XINFO STREAM stream [FULL [COUNT (count|0)]|junk]"),
    (1, "=CONFIG SET STREAM-NODE-MAX-ENTRIES (3|100)"),
    (1, "=CONFIG SET STREAM-NODE-MAX-BYTES (200|4096)"),
    // Sorting. Where weights are equal the oracle's order is any, so texts are weights of lists only.
    (4, "SORT (list|set|set|zset) [LIMIT index index] [ASC|DESC] [ALPHA] [STORE list]"),
    (
        2,
        "SORT list [BY (by-pattern|NOSORT|#)] [GET get-pattern]... [ASC|DESC] [ALPHA] [STORE list]",
    ),
    (2, "SORT list [BY (by-pattern|NOSORT)] [LIMIT index index] [GET get-pattern] [DESC]"),
    (2, "=SORT set BY by-pattern [LIMIT index index] [GET get-pattern]... [DESC] [STORE list]"),
    (2, "SORT_RO list [BY by-pattern] [GET get-pattern]... [ALPHA]"),
    // Sorted sets
    (10, "ZADD zset (score member)..."),
    (4, "ZADD zset (NX|XX|GT|LT|CH|INCR)... score member"),
    (3, "ZADD zset (NX|XX|GT|LT|CH)... (score member)..."),
    (6, "ZADD lexset 0 member [0 member] [0 member]"),
    (5, "ZINCRBY zset score member"),
    (4, "ZREM (zset|lexset) member..."),
    (3, "ZCARD zset"),
    (4, "ZSCORE zset member"),
    (3, "ZMSCORE zset member..."),
    // A third argument is an error of arity in 7.0, which spoils transactions.
    (4, "=(ZRANK|ZREVRANK) zset member"),
    (3, "ZCOUNT zset score-bound score-bound"),
    (3, "ZLEXCOUNT lexset lex-bound lex-bound"),
    (4, "ZRANGE zset index index [REV] [WITHSCORES]"),
    (4, "ZRANGE zset score-bound score-bound BYSCORE [REV] [LIMIT index index] [WITHSCORES]"),
    (3, "ZRANGE lexset lex-bound lex-bound BYLEX [REV] [LIMIT index index]"),
    (1, "ZRANGE lexset index index (BYSCORE|BYLEX|REV|LIMIT index index|WITHSCORES|junk)..."),
    (3, "ZREVRANGE zset index index [WITHSCORES]"),
    (
        4,
        "(ZRANGEBYSCORE|ZREVRANGEBYSCORE) zset score-bound score-bound [WITHSCORES] [LIMIT index index]",
    ),
    (3, "(ZRANGEBYLEX|ZREVRANGEBYLEX) lexset lex-bound lex-bound [LIMIT index index]"),
    (2, "ZRANGESTORE zset zset index index [REV]"),
    (2, "ZRANGESTORE zset zset score-bound score-bound BYSCORE [REV] [LIMIT index index]"),
    (1, "ZRANGESTORE lexset lexset lex-bound lex-bound BYLEX [REV] [LIMIT index index]"),
    (1, "ZREMRANGEBYRANK zset index index"),
    (1, "ZREMRANGEBYSCORE zset score-bound score-bound"),
    (1, "ZREMRANGEBYLEX lexset lex-bound lex-bound"),
    (3, "(ZPOPMIN|ZPOPMAX) zset [index]"),
    (3, "ZMPOP (1|2|3|0|junk) zset... (MIN|MAX|junk) [COUNT index]"),
    (
        2,
        "ZRANDMEMBER zset [(0|1|3|-3|1000|-1000|junk|9223372036854775807|-9223372036854775808) [WITHSCORES]]",
    ),
    (2, "ZSCAN zset (0|junk|count) (MATCH pattern|COUNT count|junk)..."),
    (
        4,
        "(ZUNION|ZINTER) 2 (zset|set) zset [WEIGHTS score score] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]",
    ),
    (
        3,
        "(ZUNIONSTORE|ZINTERSTORE) zset 2 zset (zset|set) [WEIGHTS score score] [AGGREGATE (SUM|MIN|MAX|junk)]",
    ),
    (
        2,
        "(ZUNION|ZINTER|ZDIFF) (1|2|3|0|junk) (zset|set|key)... (WEIGHTS score score|AGGREGATE (SUM|MIN|MAX)|WITHSCORES|junk)...",
    ),
    (2, "ZDIFF (1|2|3) (zset|set)... [WITHSCORES]"),
    (2, "ZDIFFSTORE zset (1|2|3) (zset|set)..."),
    (2, "ZINTERCARD (1|2|3|junk) (zset|set)... [LIMIT index]"),
    // Positions
    (5, "GEOADD geo [NX|XX] [CH] (longitude latitude member)..."),
    (2, "GEODIST geo member member [M|KM|FT|MI|junk]"),
    (2, "(GEOHASH|GEOPOS) (geo|zset) member..."),
    (
        4,
        "GEOSEARCH geo (FROMMEMBER member|FROMLONLAT longitude latitude) (BYRADIUS length (M|KM|FT|MI)|BYBOX length length (M|KM|junk)) (ASC|DESC) [COUNT 1000 [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
    ),
    (
        2,
        "GEOSEARCH geo (FROMMEMBER member|FROMLONLAT longitude latitude|BYRADIUS length (M|KM)|BYBOX length length MI|ASC|COUNT (0|1000)|ANY|STOREDIST|junk)...",
    ),
    (
        2,
        "GEOSEARCHSTORE (geo|zset) geo FROMLONLAT longitude latitude (BYRADIUS length KM|BYBOX length length KM) [ASC|DESC] [COUNT 1000] [STOREDIST|WITHDIST]",
    ),
    (
        2,
        "(GEORADIUS|GEORADIUS_RO) geo longitude latitude length (M|KM) [WITHCOORD] [WITHDIST] [WITHHASH] [STORE geo|STOREDIST zset]",
    ),
    (
        2,
        "(GEORADIUSBYMEMBER|GEORADIUSBYMEMBER_RO) geo member length (KM|MI) [DESC] [WITHDIST] [STORE geo|STOREDIST zset]",
    ),
    // Keys
    (4, "DEL key..."),
    (2, "UNLINK key..."),
    (3, "EXISTS key..."),
    (2, "TOUCH key..."),
    (3, "TYPE key"),
    (4, "EXPIRE key seconds [NX|XX|GT|LT]"),
    (2, "EXPIREAT key unix-seconds [NX|XX|GT|LT]"),
    (2, "PEXPIRE key milliseconds [NX|XX|GT|LT]"),
    (2, "PEXPIREAT key unix-milliseconds [NX|XX|GT|LT]"),
    (1, "(EXPIRE|PEXPIRE|EXPIREAT|PEXPIREAT) key unix-milliseconds (NX|XX|GT|LT)..."),
    (3, "TTL key"),
    (3, "PTTL key"),
    (2, "EXPIRETIME key"),
    (2, "PEXPIRETIME key"),
    (3, "PERSIST key"),
    (4, "RENAME key key"),
    (3, "RENAMENX key key"),
    (4, "COPY key key [DB database] [REPLACE]"),
    (3, "MOVE key database"),
    (2, "RANDOMKEY"),
    (2, "KEYS pattern"),
    (1, "SCAN (0|junk|count) (MATCH pattern|COUNT count|TYPE (STRING|LIST|SET|STREAM))..."),
    (3, "OBJECT ENCODING key"),
    (1, "OBJECT REFCOUNT key"),
    (1, "OBJECT (IDLETIME|FREQ) key"),
    (1, "OBJECT junk key"),
    (3, "DUMP key"),
    (4, "RESTORE key (0|milliseconds|unix-milliseconds|junk) payload (REPLACE|ABSTTL)..."),
    (1, "RESTORE key 0 payload REPLACE (IDLETIME count|FREQ count|junk)..."),
    (1, "RESTORE key integer value [REPLACE]"),
    // Connection
    (1, "PING [value]"),
    (1, "ECHO value"),
    (4, "SELECT database"),
    (1, "=HELLO"),
    (2, "HELLO (2|3|4|1|junk)"),
    (1, "=HELLO (2|3) SETNAME name"),
    (1, "=HELLO (2|3) AUTH (DEFAULT|NOBODY) value"),
    (1, "AUTH value [value]"),
    (1, "=RESET"),
    (1, "=QUIT"),
    (1, "CLIENT SETNAME name"),
    (1, "CLIENT GETNAME"),
    (1, "=CLIENT (ID|INFO|LIST)"),
    (1, "CLIENT NO-EVICT (ON|OFF|junk)"),
    (1, "CLIENT (GETREDIR|TRACKINGINFO)"),
    (1, "=CLIENT REPLY (ON|junk)"),
    (1, "=CLIENT UNBLOCK (99999999|junk) [TIMEOUT|ERROR|junk]"),
    (1, "=CLIENT LIST (TYPE (NORMAL|PUBSUB|MASTER|REPLICA|junk)|ID (junk|99999999)|junk)"),
    (
        1,
        "=CLIENT KILL (ID (99999999|junk)|ADDR 127.0.0.1:1|127.0.0.1:1|TYPE junk|USER NOSUCH|SKIPME junk|junk junk)",
    ),
    (1, "=CLIENT (UNPAUSE|PAUSE (junk|0)|junk)"),
    // Transactions; EXEC is added by the generator
    (5, "=MULTI"),
    (1, "MULTI"),
    (1, "EXEC"),
    (1, "DISCARD"),
    (4, "WATCH key..."),
    (1, "UNWATCH"),
    // Server
    (2, "DBSIZE"),
    (1, "=(FLUSHDB|FLUSHALL) [ASYNC|SYNC|junk]"),
    (2, "SWAPDB database database"),
    (1, "=(TIME|LASTSAVE|INFO|INFO KEYSPACE|INFO NOSUCH)"),
    (1, "=COMMAND [COUNT|LIST|INFO NOSUCH|junk]"),
    (
        1,
        "=COMMAND GETKEYS (GET key|MSET (key value)...|SET key value|RENAME key key|ECHO value|COPY key key|MGET key...|junk value)",
    ),
    (
        1,
        "=COMMAND GETKEYSANDFLAGS (GET key|MSET (key value)...|SET key value|DEL key...|ECHO value)",
    ),
    (1, "=COMMAND LIST FILTERBY (PATTERN (SETN?|NOSUCH*)|ACLCAT NOSUCH|MODULE NOSUCH|junk junk)"),
    (1, "MEMORY USAGE key [SAMPLES count]"),
    (
        1,
        "=CONFIG GET (MAXMEMORY-POLICY|SLOWLOG-MAX-LEN|HZ|SAVE|APPENDONLY|DATABASES|NOTIFY-KEYSPACE-EVENTS|TIMEOUT|NOSUCH)...",
    ),
    (
        2,
        "=CONFIG SET MAXMEMORY-POLICY (NOEVICTION|ALLKEYS-LRU|ALLKEYS-LFU|VOLATILE-LRU|VOLATILE-LFU|ALLKEYS-RANDOM|VOLATILE-TTL|junk)",
    ),
    (1, "=CONFIG SET SLOWLOG-MAX-LEN (1|128|junk) [TIMEOUT (0|100|-1|junk)] [SLOWLOG-MAX-LEN 7]"),
    (1, "=CONFIG SET NOTIFY-KEYSPACE-EVENTS (KEA|ELG|KXE|E|junk)"),
    (
        1,
        "=CONFIG SET (MAXMEMORY (100MB|0|1GB)|HZ (10|100|junk)|LAZYFREE-LAZY-USER-DEL (YES|NO|junk)|LOGLEVEL junk|NOSUCH 1|PORT|DATABASES 4)",
    ),
    (1, "=CONFIG (GET|SET|junk)"),
    (1, "junk key value"),
    (1, "NOSUCH junk..."),
];

/// All templates, ready to be drawn from.
pub struct Catalogue {
    templates: Vec<(u32, Template)>,
    total: u32,
}

impl Catalogue {
    /// Reads the templates.
    pub fn load() -> Result<Catalogue> {
        let parse = |&(weight, line): &(u32, &'static str)| {
            Ok((weight, Template::parse(line).with_context(|| line.to_owned())?))
        };
        let templates = TEMPLATES.iter().map(parse).collect::<Result<Vec<_>>>()?;
        let total = TEMPLATES.iter().map(|(weight, _)| weight).sum();
        Ok(Catalogue { templates, total })
    }

    /// The sum of all weights.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// The template at `point` of the total weight.
    pub fn at(&self, mut point: u32) -> &Template {
        for (weight, template) in &self.templates {
            if point < *weight {
                return template;
            }
            point -= weight;
        }
        &self.templates[0].1
    }
}

/// How two replies to one command compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Byte for byte.
    Exact,
    /// The elements in any order.
    AnyOrder,
    /// Names and values in any order of the names.
    Pairs,
    /// Seconds that may be rounded differently.
    Seconds,
    /// Milliseconds that differ by what passed between the two servers.
    Milliseconds,
    /// The name of an encoding, where small values may be packed that are not at the oracle.
    Encoding,
    /// Floats by their values: until 7.0 they are told with 17 digits.
    Scores,
    /// Errors exactly, anything else by its kind alone.
    Kind,
    /// The reply of HELLO: all but version and connection.
    Hello,
    /// Groups of a stream without the number of their consumers: until 7.0 one that was given
    /// nothing did not come into being.
    Groups,
}

/// The parameters that the templates change, with the values they start from.
pub const CHANGED_PARAMETERS: &[&str] = &[
    "maxmemory-policy",
    "noeviction",
    "slowlog-max-len",
    "128",
    "timeout",
    "0",
    "notify-keyspace-events",
    "",
    "maxmemory",
    "0",
    "hz",
    "10",
    "lazyfree-lazy-user-del",
    "no",
    "list-max-listpack-size",
    "-2",
    "set-max-intset-entries",
    "512",
    "hash-max-listpack-entries",
    "512",
    "hash-max-listpack-value",
    "64",
    "stream-node-max-entries",
    "100",
    "stream-node-max-bytes",
    "4096",
];

/// How the replies to a command compare.
pub fn comparison(arguments: &Arguments) -> Comparison {
    let upper = |at: usize| arguments.get(at).map(|a| a.to_ascii_uppercase()).unwrap_or_default();
    match (upper(0).as_slice(), upper(1).as_slice()) {
        (b"KEYS", _) | (b"COMMAND", b"LIST") if arguments.len() > 2 || upper(0) == b"KEYS" => {
            Comparison::AnyOrder
        }
        (b"TTL" | b"EXPIRETIME", _) => Comparison::Seconds,
        (b"PTTL" | b"PEXPIRETIME", _) => Comparison::Milliseconds,
        (b"HELLO", _) => Comparison::Hello,
        (b"CONFIG", b"GET") | (b"HGETALL", _) => Comparison::Pairs,
        (b"SMEMBERS" | b"SPOP" | b"SINTER" | b"SUNION" | b"SDIFF" | b"HKEYS" | b"HVALS", _) => {
            Comparison::AnyOrder
        }
        (b"OBJECT", b"ENCODING") => Comparison::Encoding,
        (b"XINFO", b"GROUPS") => Comparison::Groups,
        // Idle times, nodes of a tree, and consumers that were given nothing.
        (b"XPENDING", _) if arguments.len() > 3 => Comparison::Kind,
        (b"XGROUP", b"CREATECONSUMER" | b"HELP") | (b"XINFO", _) => Comparison::Kind,
        // Expired keys are counted until they are removed, which each server does in its own time.
        // Sizes are compared with the keyspaces, when those keys are gone.
        (b"DBSIZE", _) if arguments.len() == 1 => Comparison::Kind,
        (b"RANDOMKEY" | b"SCAN" | b"TIME" | b"LASTSAVE" | b"INFO" | b"MEMORY", _)
        | (b"SRANDMEMBER" | b"HRANDFIELD" | b"ZRANDMEMBER", _)
        | (b"SSCAN" | b"HSCAN" | b"ZSCAN", _)
        | (b"DUMP", _)
        | (b"OBJECT", b"IDLETIME" | b"FREQ" | b"REFCOUNT" | b"HELP")
        | (b"CLIENT", b"ID" | b"INFO" | b"LIST" | b"HELP")
        | (b"COMMAND", b"" | b"COUNT" | b"LIST" | b"HELP")
        | (b"CONFIG", b"HELP") => Comparison::Kind,
        (name, _) if name.starts_with(b"Z") => Comparison::Scores,
        _ => Comparison::Exact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_templates_are_well_formed() {
        let catalogue = Catalogue::load().unwrap();
        assert_eq!(catalogue.templates.len(), TEMPLATES.len());
    }

    #[test]
    fn comparison_depends_on_command_and_subcommand() {
        let of = |words: &str| {
            comparison(&words.split(' ').map(|word| word.as_bytes().to_vec()).collect())
        };
        assert_eq!(of("keys *"), Comparison::AnyOrder);
        assert_eq!(of("command list"), Comparison::Kind);
        assert_eq!(of("command list filterby pattern x"), Comparison::AnyOrder);
        assert_eq!(of("object encoding k"), Comparison::Encoding);
        assert_eq!(of("zscore z m"), Comparison::Scores);
        assert_eq!(of("object freq k"), Comparison::Kind);
        assert_eq!(of("object idletime k"), Comparison::Kind);
    }
}
