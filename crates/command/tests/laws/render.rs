//! Replies as one line of text, the same for both versions of the protocol.

use kevy_resp::decode::Frame;

/// Integers and status lines bare, strings in quotes, `nil`, errors behind `!`, aggregates in
/// brackets; maps as flat arrays.
pub(crate) fn render(bytes: &[u8]) -> String {
    let mut rest = bytes;
    let mut replies = Vec::new();
    while !rest.is_empty() {
        let (frame, len) = kevy_resp::decode::decode(rest)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
            .unwrap_or_else(|| panic!("half a reply: {}", String::from_utf8_lossy(bytes)));
        replies.push(frame_text(&frame));
        rest = &rest[len..];
    }
    replies.join(" ")
}

pub(crate) fn frame_text(frame: &Frame) -> String {
    let list = |frames: &[Frame]| {
        format!("[{}]", frames.iter().map(frame_text).collect::<Vec<_>>().join(", "))
    };
    match frame {
        Frame::Simple(text) => String::from_utf8_lossy(text).into_owned(),
        Frame::Error(text) | Frame::BulkError(text) => {
            format!("!{}", String::from_utf8_lossy(text))
        }
        Frame::Integer(value) => value.to_string(),
        Frame::Bulk(bytes) | Frame::Verbatim(_, bytes) => format!("\"{}\"", bytes.escape_ascii()),
        Frame::NullBulk | Frame::NullArray | Frame::Null => "nil".to_owned(),
        Frame::Double(value) => format!("\"{value}\""),
        Frame::Boolean(value) => u8::from(*value).to_string(),
        Frame::BigNumber(digits) => format!("\"{}\"", String::from_utf8_lossy(digits)),
        Frame::Array(items) | Frame::Push(items) => list(items),
        Frame::Set(items) => {
            let mut texts: Vec<String> = items.iter().map(frame_text).collect();
            texts.sort();
            format!("[{}]", texts.join(", "))
        }
        Frame::Map(pairs) => {
            let flat: Vec<Frame> =
                pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect();
            list(&flat)
        }
        Frame::Attribute(_, value) => frame_text(value),
    }
}

/// The words of a command line; `"…"` holds blanks and `\xNN`, `\r`, `\n`, `\"`, `\\`.
pub(crate) fn words(line: &str) -> Vec<Vec<u8>> {
    let (mut words, mut rest) = (Vec::new(), line.trim_start());
    while !rest.is_empty() {
        let mut word = Vec::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = unquote(quoted, &mut word);
        } else {
            let end = rest.find(' ').unwrap_or(rest.len());
            word.extend_from_slice(&rest.as_bytes()[..end]);
            rest = &rest[end..];
        }
        words.push(word);
        rest = rest.trim_start();
    }
    words
}

/// Reads up to the closing quote; what is behind it.
fn unquote<'a>(text: &'a str, word: &mut Vec<u8>) -> &'a str {
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return &text[at + 1..],
            '\\' => {
                let (at, escaped) = chars.next().expect("an escape");
                word.push(match escaped {
                    'n' => b'\n',
                    'r' => b'\r',
                    't' => b'\t',
                    'x' => {
                        chars.nth(1);
                        u8::from_str_radix(&text[at + 1..at + 3], 16).expect("two digits")
                    }
                    other => other as u8,
                });
            }
            other => word.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    panic!("no closing quote in {text}")
}
