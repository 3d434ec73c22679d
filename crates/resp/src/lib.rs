//! RESP2 and RESP3.
/// Placeholder of the reply buffer.
#[derive(Debug, Default)]
pub struct Output<B> {
    bytes: Vec<u8>,
    bodies: Vec<(usize, B)>,
}
