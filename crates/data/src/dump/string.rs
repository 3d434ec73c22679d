//! Strings.

use super::code;
use super::read::{Malformed, Reader};
use super::write::Writer;
use crate::{Record, StringRef};

pub(super) fn write(value: StringRef<'_>, writer: &mut Writer<'_>) {
    writer.byte(code::STRING);
    writer.value(value);
}

pub(super) fn read(key: &[u8], reader: &mut Reader<'_>) -> Result<Record, Malformed> {
    Ok(Record::new(key, reader.string()?.text(), None))
}
