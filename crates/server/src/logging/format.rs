//! The forms of a log line.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::config::choices::{LogFormat, LogLevel, TimestampFormat};

/// Longer messages are cut: a line is for reading.
const MAX_MESSAGE: usize = 4096;

/// What the process is while it writes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It starts.
    Starting,
    /// A primary.
    Primary,
    /// A replica.
    Replica,
}

impl Role {
    pub(super) fn from_value(value: u8) -> Self {
        match value {
            0 => Role::Starting,
            1 => Role::Primary,
            _ => Role::Replica,
        }
    }

    fn letter(self) -> char {
        match self {
            Role::Starting => 'C',
            Role::Primary => 'M',
            Role::Replica => 'S',
        }
    }

    fn word(self) -> &'static str {
        match self {
            Role::Starting => "starting",
            Role::Primary => "primary",
            Role::Replica => "replica",
        }
    }
}

/// How lines are formed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) format: LogFormat,
    pub(super) timestamps: TimestampFormat,
}

/// All that a line says.
#[derive(Debug)]
pub(super) struct Record<'r> {
    pub(super) pid: u32,
    pub(super) role: Role,
    pub(super) time: Timestamp,
    /// Of local time at `time`.
    pub(super) offset: Offset,
    pub(super) level: LogLevel,
    pub(super) message: &'r str,
    pub(super) fields: &'r [(&'static str, String)],
}

impl Record<'_> {
    /// The line, with its newline.
    pub(super) fn line(&self, shape: Shape) -> Vec<u8> {
        let mut line = String::with_capacity(self.message.len() + 64);
        // Writing to a string cannot fail.
        let _ = match shape.format {
            LogFormat::Redis => self.redis(shape.timestamps, &mut line),
            LogFormat::Json => self.json(shape.timestamps, &mut line),
            LogFormat::Logfmt => self.logfmt(shape.timestamps, &mut line),
        };
        line.push('\n');
        line.into_bytes()
    }

    fn redis(&self, timestamps: TimestampFormat, line: &mut String) -> std::fmt::Result {
        write!(line, "{}:{} ", self.pid, self.role.letter())?;
        self.timestamp(timestamps, line)?;
        let mark = match self.level {
            LogLevel::Debug => '.',
            LogLevel::Verbose => '-',
            LogLevel::Notice => '*',
            LogLevel::Warning | LogLevel::Nothing => '#',
        };
        write!(line, " {mark} ")?;
        escape_control(self.message(), line);
        for (name, value) in self.fields {
            write!(line, " {name}=")?;
            escape_control(value, line);
        }
        Ok(())
    }

    fn json(&self, timestamps: TimestampFormat, line: &mut String) -> std::fmt::Result {
        line.push_str("{\"time\":\"");
        // The legacy form is for people; a program is better served by the standard one.
        let timestamps = match timestamps {
            TimestampFormat::Legacy => TimestampFormat::Iso8601,
            other => other,
        };
        self.timestamp(timestamps, line)?;
        let (pid, role, level) = (self.pid, self.role.word(), self.level.word());
        write!(line, "\",\"level\":\"{level}\",\"pid\":{pid},\"role\":\"{role}\",\"message\":")?;
        json_string(self.message(), line)?;
        for (name, value) in self.fields {
            line.push(',');
            json_string(name, line)?;
            line.push(':');
            json_string(value, line)?;
        }
        line.push('}');
        Ok(())
    }

    fn logfmt(&self, timestamps: TimestampFormat, line: &mut String) -> std::fmt::Result {
        write!(line, "pid={} role={} timestamp=\"", self.pid, self.role.word())?;
        self.timestamp(timestamps, line)?;
        write!(line, "\" level={} message=", self.level.word())?;
        json_string(self.message(), line)?;
        for (name, value) in self.fields {
            write!(line, " {name}=")?;
            json_string(value, line)?;
        }
        Ok(())
    }

    fn timestamp(&self, form: TimestampFormat, line: &mut String) -> std::fmt::Result {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let local = self.offset.to_datetime(self.time);
        let (year, month, day) = (local.year(), local.month(), local.day());
        let (hour, minute, second) = (local.hour(), local.minute(), local.second());
        let milli = local.millisecond();
        match form {
            TimestampFormat::Legacy => {
                let month = MONTHS[(month.clamp(1, 12) - 1).unsigned_abs() as usize];
                write!(line, "{day:02} {month} {year} {hour:02}:{minute:02}:{second:02}.{milli:03}")
            }
            TimestampFormat::Iso8601 => {
                let minutes = self.offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                let (h, m) = (minutes.abs() / 60, minutes.abs() % 60);
                write!(
                    line,
                    "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}\
                     {sign}{h:02}:{m:02}"
                )
            }
            TimestampFormat::Milliseconds => write!(line, "{}", self.time.as_millisecond()),
        }
    }

    /// The message, cut at a character boundary.
    fn message(&self) -> &str {
        &self.message[..self.message.floor_char_boundary(MAX_MESSAGE)]
    }
}

/// Appends `text`, in which no control character survives: neither a forged line nor an escape
/// sequence for the terminal.
fn escape_control(text: &str, line: &mut String) {
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
}

/// Appends `text` as a JSON string.
fn json_string(text: &str, line: &mut String) -> std::fmt::Result {
    line.push('"');
    for character in text.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            other if other.is_control() => write!(line, "\\u{:04x}", u32::from(other))?,
            other => line.push(other),
        }
    }
    line.push('"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: LogFormat, timestamps: TimestampFormat) -> String {
        let fields = [("keys", "3".to_owned())];
        let record = Record {
            pid: 7,
            role: Role::Primary,
            time: Timestamp::from_millisecond(1_700_000_000_042).unwrap(),
            offset: Offset::from_seconds(-(3 * 3600 + 1800)).unwrap(),
            level: LogLevel::Notice,
            message: "say \"hi\"\u{7}",
            fields: &fields,
        };
        String::from_utf8(record.line(Shape { format, timestamps })).unwrap()
    }

    #[test]
    fn forms() {
        use LogFormat::{Json, Logfmt, Redis};
        use TimestampFormat::{Iso8601, Legacy, Milliseconds};
        assert_eq!(line(Redis, Legacy), "7:M 14 Nov 2023 18:43:20.042 * say \"hi\"\\u{7} keys=3\n");
        assert_eq!(
            line(Redis, Iso8601),
            "7:M 2023-11-14T18:43:20.042-03:30 * say \"hi\"\\u{7} keys=3\n"
        );
        assert_eq!(
            line(Json, Legacy),
            "{\"time\":\"2023-11-14T18:43:20.042-03:30\",\"level\":\"notice\",\"pid\":7,\
             \"role\":\"primary\",\"message\":\"say \\\"hi\\\"\\u0007\",\"keys\":\"3\"}\n"
        );
        assert_eq!(
            line(Logfmt, Milliseconds),
            "pid=7 role=primary timestamp=\"1700000000042\" level=notice \
             message=\"say \\\"hi\\\"\\u0007\" keys=\"3\"\n"
        );
    }
}
