//! What a connection's bytes mean: each case was compared with what redis-server answers.

#![forbid(unsafe_code)]

use kevy_resp::{Limits, Need, Parser, ProtocolError, Span, Step, write_command};

const MAX_BULK: i64 = 512 * 1024 * 1024;

/// Parses all of `stream`: each command's arguments as text, or how it ends.
fn transcript(stream: &[u8], limits: &Limits) -> Vec<String> {
    let (mut parser, mut args, mut from) = (Parser::new(), Vec::new(), 0);
    let mut lines = Vec::new();
    loop {
        args.clear();
        match parser.parse(stream, from, limits, &mut args) {
            Ok(Step::Command { end }) => {
                lines.push(words(stream, &args));
                from = end;
            }
            Ok(Step::Quoted { end, args }) => {
                lines.push(words(&args.bytes, &args.args));
                from = end;
            }
            Ok(Step::Skip { end }) => from = end,
            Ok(Step::Incomplete(_)) if from == stream.len() => return lines,
            Ok(Step::Incomplete(_)) => {
                lines.push("…".into());
                return lines;
            }
            Err(error) => {
                lines.push(error.text().escape_ascii().to_string());
                return lines;
            }
        }
    }
}

fn words(buf: &[u8], args: &[Span]) -> String {
    let words: Vec<_> = args.iter().map(|arg| arg.of(buf).escape_ascii().to_string()).collect();
    words.join("|")
}

#[track_caller]
fn check(stream: &[u8], expected: &[&str]) {
    let shown = &stream[..stream.len().min(60)];
    let limits = Limits::authenticated(MAX_BULK);
    assert_eq!(transcript(stream, &limits), expected, "{:?}", shown.escape_ascii().to_string());
}

#[track_caller]
fn check_error(stream: &[u8], text: &str) {
    check(stream, &[&format!("ERR Protocol error: {text}")]);
}

#[test]
fn commands() {
    check(b"", &[]);
    check(b"*1\r\n$4\r\nPING\r\n", &["PING"]);
    check(b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n", &["GET|", "PING"]);
    check(b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPIN", &["PING", "…"]);
    let args: Vec<String> = (0..1000).map(|index| "x".repeat(index)).collect();
    let mut encoded = Vec::new();
    write_command(&mut encoded, &args);
    check(&encoded, &[&args.join("|")]);
}

#[test]
fn nothing_is_skipped_without_reply() {
    check(b"*0\r\n*-1\r\n*-5\r\n\r\n\n \t\r\n*1\r\n$4\r\nPING\r\n", &["PING"]);
}

#[test]
fn line_ends_are_taken_for_granted() {
    check(b"*1\rX$4\rYPINGab*1\r\n$4\r\nPING\r\n", &["PING", "PING"]);
}

#[test]
fn inline_commands() {
    check(b"PING\r\nECHO a\x0bb\n\x0bECHO  a \r\n", &["PING", "ECHO|a\\x0bb", "ECHO|a"]);
    check(b"PING\r\r\n", &["PING"]);
    check(b"ECHO \"\\x41\\n\" 'a\\'b'\r\nPING\n", &["ECHO|A\\n|a\\'b", "PING"]);
    check_error(b"ECHO \"a\r\n", "unbalanced quotes in request");
    check_error(b"ECHO \"a\"b\r\n", "unbalanced quotes in request");
}

#[test]
fn invalid_counts() {
    for count in ["", "a", "+1", "01", "1 ", " 1", "-0", "2147483648", "9223372036854775808"] {
        check_error(format!("*{count}\r\n").as_bytes(), "invalid multibulk length");
    }
    check(b"*2147483647\r\n", &["…"]);
    check_error(b"*1\n$4\r\nPING\r\n", "invalid multibulk length");
}

#[test]
fn invalid_lengths() {
    for len in ["", "a", "+1", "04", "-1", "536870913", "9223372036854775808"] {
        check_error(format!("*1\r\n${len}\r\n").as_bytes(), "invalid bulk length");
    }
    check(b"*1\r\n$536870912\r\n", &["…"]);
    check_error(b"*1\r\n$4\nPING\r\n", "invalid bulk length");
}

#[test]
fn arguments_that_are_not_bulks() {
    check_error(b"*1\r\n!3\r\n", "expected \\'$\\', got \\'!\\'");
    check_error(b"*1\r\n\xff1\r\n", "expected \\'$\\', got \\'\\xff\\'");
    check_error(b"*1\r\n\r\n", "expected \\'$\\', got \\'\\r\\'");
    check(b"*1\r\n!3", &["…"]);
}

#[test]
fn lines_without_end() {
    let long =
        |start: &str, len: usize| [start.as_bytes(), &b"1".repeat(len - start.len())].concat();
    for (start, text) in [("PING ", "too big inline request"), ("*", "too big mbulk count string")]
    {
        check(&long(start, 65536), &["…"]);
        check_error(&long(start, 65537), text);
    }
    for start in ["$", "!"] {
        check(&[b"*1\r\n", &long(start, 65536)[..]].concat(), &["…"]);
        check_error(&[b"*1\r\n", &long(start, 65537)[..]].concat(), "too big bulk count string");
    }
    check(&[&b"A".repeat(65536)[..], b"\n"].concat(), &[&"A".repeat(65536)]);
}

#[test]
fn before_authentication() {
    let limits = Limits::unauthenticated();
    for (stream, expected) in [
        ("*11\r\n", "ERR Protocol error: unauthenticated multibulk length"),
        ("*10\r\n", "…"),
        ("*2147483648\r\n", "ERR Protocol error: invalid multibulk length"),
        ("*1\r\n$16385\r\n", "ERR Protocol error: unauthenticated bulk length"),
        ("*1\r\n$16384\r\n", "…"),
        ("*1\r\n$536870913\r\n", "ERR Protocol error: invalid bulk length"),
        ("AUTH a b c d e f g h i j k\r\n", "AUTH|a|b|c|d|e|f|g|h|i|j|k"),
    ] {
        assert_eq!(transcript(stream.as_bytes(), &limits), [expected], "{stream:?}");
    }
}

/// Parses the start of a command that lies at offset 3 of the buffer.
fn need(text: &str) -> (Parser, Need) {
    let (mut parser, mut args) = (Parser::new(), Vec::new());
    let buf = format!("xyz{text}");
    match parser.parse(buf.as_bytes(), 3, &Limits::authenticated(MAX_BULK), &mut args) {
        Ok(Step::Incomplete(need)) => (parser, need),
        other => panic!("{text:?} gives {other:?}"),
    }
}

#[test]
fn what_is_missing() {
    assert_eq!(need("").1, Need::More);
    assert_eq!(need("*3\r").1, Need::More);
    assert_eq!(need("*3\r\n$3\r\nSET\r\n$1").1, Need::More);
    assert_eq!(need("*3\r\n$3\r\n").1, Need::Bytes(3 + 8 + 5));
    assert_eq!(need("*3\r\n$3\r\nSET\r\n$9\r\nke").1, Need::Bytes(3 + 17 + 11));
}

#[test]
fn a_last_argument_under_way() {
    let header = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n";
    let start = 3 + header.len();
    for received in ["", "some", "some of it\r\n"] {
        let (parser, need) = need(&format!("{header}{received}"));
        assert_eq!(need, Need::Tail { start, len: 100_000, args_before: 2 });
        let pending: Vec<_> =
            parser.pending().iter().map(|arg| arg.of(header.as_bytes())).collect();
        assert_eq!(pending, [&b"SET"[..], b"k"]);
    }
}

#[test]
fn nothing_is_remembered_of_a_command_that_was_reset() {
    let (mut parser, _) = need("*3\r\n$3\r\nSET\r\n$1");
    parser.reset();
    let mut args = Vec::new();
    let step = parser.parse(b"PING\r\n", 0, &Limits::authenticated(MAX_BULK), &mut args);
    assert_eq!((step, args), (Ok(Step::Command { end: 6 }), vec![Span { start: 0, len: 4 }]));
    assert!(parser.pending().is_empty());
}

#[test]
fn a_huge_frame_in_small_pieces_costs_its_bytes_once() {
    const ARGS: usize = 200_000;
    let stream = [format!("*{ARGS}\r\n").into_bytes(), b"$2\r\nab\r\n".repeat(ARGS)].concat();
    let (mut parser, mut args) = (Parser::new(), Vec::new());
    let limits = Limits::authenticated(MAX_BULK);
    // Parsing from the start at each piece would read 10^11 bytes.
    for end in (1..stream.len()).step_by(7) {
        let step = parser.parse(&stream[..end], 0, &limits, &mut args);
        assert!(matches!(step, Ok(Step::Incomplete(_))));
    }
    let step = parser.parse(&stream, 0, &limits, &mut args);
    assert_eq!((step, args.len()), (Ok(Step::Command { end: stream.len() }), ARGS));
    assert!(args.iter().all(|arg| arg.of(&stream) == b"ab"));
}

#[test]
fn commands_of_four_gigabytes_are_refused() {
    let limits = Limits::authenticated(i64::MAX);
    assert_eq!(
        transcript(b"*2\r\n$4294967296\r\n", &limits),
        ["ERR Protocol error: too big command"]
    );
    let (mut parser, mut args) = (Parser::new(), Vec::new());
    let step = parser.parse(b"*1\r\n$9223372036854775807\r\nabc", 0, &limits, &mut args);
    let need = Need::Tail { start: 26, len: i64::MAX as usize, args_before: 0 };
    assert_eq!(step, Ok(Step::Incomplete(need)));
    assert_eq!(ProtocolError::TooBigCommand.to_string(), "too big command");
}
