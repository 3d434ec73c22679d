//! Bytes that are no commands, half commands, and commands in odd clothes: answered byte for byte
//! as redis-server does.

use anyhow::{Result, bail};
use kevy_tests::client::Client;
use kevy_tests::environment::{Need, Program};
use kevy_tests::server::{Layout, Server};
use kevy_tests::value::shown;
use std::net::SocketAddr;

/// Each is sent over a connection of its own, followed by the end of the stream.
const CORPUS: &[&[u8]] = &[
    // Inline commands
    b"PING\r\n",
    b"ping\n",
    b"PING\rPING\r\n",
    b"\r\n\r\n  \r\nPING\r\n",
    b"PING",
    b"  SET   a    b  \r\nGET a\r\n",
    b"SET a \"\\x41\\n\\t\\\"\"\r\nGET a\r\n",
    b"SET a 'it\\'s \\n'\r\nGET a\r\n",
    b"SET a \"open\r\nPING\r\n",
    b"SET a 'open\r\nPING\r\n",
    b"SET a \"b\"c\r\nPING\r\n",
    b"SET a \"\"\r\nGET a\r\n",
    b"\"PING\"\r\n",
    b"SET a \"\\xZZ\"\r\nGET a\r\n",
    b"\xff\xfe\r\n",
    b"$3\r\nfoo\r\n",
    b"+OK\r\n",
    b"QUIT\r\nPING\r\n",
    // Arrays of no commands
    b"*\r\nPING\r\n",
    b"*0\r\nPING\r\n",
    b"*-1\r\nPING\r\n",
    b"*-10\r\nPING\r\n",
    b"*abc\r\n",
    b"*1.5\r\n",
    b"* 1\r\n$4\r\nPING\r\n",
    b"*+1\r\n$4\r\nPING\r\n",
    b"*01\r\n$4\r\nPING\r\n",
    b"*1 \r\n$4\r\nPING\r\n",
    b"*1024\r\n$4\r\nPING\r\n",
    b"*1048577\r\n",
    b"*2147483647\r\n",
    b"*2147483648\r\n",
    b"*9223372036854775808\r\n",
    b"*18446744073709551617\r\n",
    b"*1\n$4\nPING\n",
    // Bulks
    b"*1\r\n\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n:4\r\nPING\r\n",
    b"*1\r\n$\r\nPING\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$abc\r\n",
    b"*1\r\n$ 4\r\nPING\r\n",
    b"*1\r\n$+4\r\nPING\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"*1\r\n$0\r\n\r\nPING\r\n",
    b"*1\r\n$4\r\nPINGxxPING\r\n",
    b"*1\r\n$3\r\nPING\r\n",
    b"*1\r\n$5\r\nPING\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$4294967296\r\n",
    b"*1\r\n$9223372036854775807\r\n",
    b"*1\r\n$99999999999999999999\r\n",
    b"*2\r\n$3\r\nGET\r\n$-5\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n",
    b"*2\r\n*1\r\n$4\r\nPING\r\n",
    // Good ones before bad ones
    b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n*x\r\n*1\r\n$4\r\nPING\r\n",
    b"PING\r\n*1\r\n$4\r\nPING\r\nPING\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\na",
    b"*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nGET\r\n$x\r\n",
    // Names that need care in an error message
    b"*1\r\n$6\r\na\r\nb\tc\r\n",
    b"*3\r\n$4\r\nn\0pe\r\n$2\r\n\r\n\r\n$3\r\n%s\xff\r\n",
    b"*2\r\n$6\r\nCLIENT\r\n$4\r\na\r\nb\r\n",
];

/// Too long to be written down, or longer than what one read takes.
fn long_ones() -> Vec<Vec<u8>> {
    const INLINE: usize = 64 * 1024;
    let repeat = |head: &[u8], byte: u8, count: usize| {
        let mut bytes = head.to_vec();
        bytes.resize(head.len() + count, byte);
        bytes
    };
    let mut name = b"*2\r\n$300\r\n".to_vec();
    name.extend([b'n'; 300]);
    name.extend(b"\r\n$300\r\n");
    name.extend([b'a'; 300]);
    name.extend(b"\r\n");
    let mut many = b"*40\r\n".to_vec();
    (0..40).for_each(|_| many.extend(b"$9\r\nunknown-x\r\n"));
    vec![
        repeat(b"", b'x', INLINE + 10),
        repeat(b"*", b'1', INLINE + 10),
        repeat(b"*1\r\n$", b'1', INLINE + 10),
        repeat(b"*1\r\n", b'$', INLINE + 10),
        name,
        many,
    ]
}

/// What comes back on a connection that sends `parts`, each in a write of its own, and then ends.
fn answer(address: SocketAddr, parts: &[&[u8]]) -> Result<Vec<u8>> {
    let mut client = Client::connect(address)?;
    for part in parts {
        // The server may have closed already: its answer tells.
        if client.send_raw(part).is_err() {
            break;
        }
    }
    let _ = client.half_close();
    client.read_to_end()
}

fn compare(ours: &Server, theirs: &Server, parts: &[&[u8]]) -> Result<()> {
    let (a, b) = (answer(ours.address(), parts)?, answer(theirs.address(), parts)?);
    if a != b {
        let sent: Vec<String> = parts.iter().map(|part| shown(part)).collect();
        bail!("{sent:?} was answered by \"{}\", not \"{}\"", shown(&a), shown(&b));
    }
    Ok(())
}

#[test]
fn every_input_is_answered_as_by_the_oracle() -> Result<()> {
    if !Need::RedisServer.wanted() {
        return Ok(());
    }
    let program = Program::under_test()?;
    let theirs = Server::oracle(&[])?;
    for layout in Layout::all(&[1, 2]) {
        let mut ours = Server::start(&program, layout, &[])?;
        for input in CORPUS {
            compare(&ours, &theirs, &[input])?;
        }
        for input in long_ones() {
            compare(&ours, &theirs, &[&input])?;
        }
        ours.ensure_alive()?;
    }
    Ok(())
}

#[test]
fn where_the_bytes_are_cut_does_not_matter() -> Result<()> {
    if !Need::RedisServer.wanted() {
        return Ok(());
    }
    let theirs = Server::oracle(&[])?;
    let mut ours = Server::plain(&[])?;
    for input in CORPUS {
        let expected = answer(theirs.address(), &[input])?;
        for cut in 1..input.len() {
            let (first, second) = input.split_at(cut);
            let got = answer(ours.address(), &[first, second])?;
            if got != expected {
                let (first, second) = (shown(first), shown(second));
                let (got, expected) = (shown(&got), shown(&expected));
                bail!(
                    "\"{first}\" and \"{second}\" were answered by \"{got}\", not \"{expected}\""
                );
            }
        }
    }
    ours.ensure_alive()
}

/// redis-server takes no end of line behind a zero byte for one and waits for ever; for us a zero
/// byte in an inline command is a byte like others.
#[test]
fn a_zero_byte_in_an_inline_command_is_a_byte() -> Result<()> {
    let program = Program::under_test()?;
    if !program.is_kevy {
        return Ok(());
    }
    let ours = Server::plain(&[])?;
    assert_eq!(answer(ours.address(), &[b"PING \0\r\nPING\r\n"])?, b"$1\r\n\0\r\n+PONG\r\n");
    Ok(())
}

#[test]
fn a_browser_that_was_lured_here_can_do_nothing() -> Result<()> {
    let mut ours = Server::plain(&[])?;
    for head in
        ["POST / HTTP/1.1\r\nContent-Length: 20\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"]
    {
        let input = format!("{head}SET lured 1\r\n");
        let reply = answer(ours.address(), &[input.as_bytes()])?;
        assert!(!reply.ends_with(b"+OK\r\n"), "{}", shown(&reply));
    }
    assert_eq!(ours.client()?.words("EXISTS lured")?.integer(), Some(0));
    ours.ensure_alive()
}

#[test]
fn who_is_not_authenticated_may_declare_little() -> Result<()> {
    if !Need::RedisServer.wanted() {
        return Ok(());
    }
    let password = ["--requirepass", "secret"];
    let ours = Server::plain(&password)?;
    let theirs = Server::oracle(&password)?;
    let inputs: &[&[u8]] = &[
        b"*10\r\n$4\r\nPING\r\n",
        b"*11\r\n",
        b"*1\r\n$16384\r\n",
        b"*1\r\n$16385\r\n",
        b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
        b"PING\r\nGET a\r\nNOSUCH\r\n",
        b"AUTH wrong\r\nAUTH default wrong\r\nAUTH secret\r\nPING\r\n",
        b"AUTH nobody secret\r\nHELLO 3 AUTH default secret\r\nAUTH a b c\r\n",
        b"HELLO\r\nHELLO 3\r\nHELLO 3 AUTH default no\r\n",
        b"AUTH default secret\r\n*11\r\n$4\r\nMGET\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n\
          $1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n$1\r\na\r\n",
        b"MULTI\r\nQUIT\r\n",
        b"RESET\r\n",
    ];
    for input in inputs {
        let (a, b) = (answer(ours.address(), &[input])?, answer(theirs.address(), &[input])?);
        // What a stranger is told about HELLO became longer with Redis 7.2.
        let a = without_version(&a)
            .replace("HELLO <proto> AUTH <user> <pass>", "HELLO AUTH <user> <pass>");
        let b = without_version(&b);
        assert_eq!(a, b, "{}", shown(input));
    }
    Ok(())
}

/// A greeting names the server's version and a number of the connection, which differ by right.
fn without_version(reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply);
    let mut lines: Vec<&str> = text.split("\r\n").collect();
    if let Some(at) = lines.iter().position(|line| *line == "version") {
        lines[at + 1..at + 3].fill("");
    }
    if let Some(at) = lines.iter().position(|line| *line == "id") {
        lines[at + 1] = "";
    }
    lines.join("\r\n")
}
