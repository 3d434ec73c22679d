//! Values that tell where they come from.
//!
//! Every write of a run writes a *token* of its own: number, length of its filling, filling. A
//! value that was appended to is a list of tokens, so a read shows which writes it follows and in
//! which order they happened.

/// Names a write.
pub(crate) type Token = u32;

const HEAD: usize = 8;

/// The bytes of a token with `filling` bytes of filling.
pub(crate) fn write(token: Token, filling: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + filling);
    bytes.extend_from_slice(&token.to_be_bytes());
    bytes.extend_from_slice(&(filling as u32).to_be_bytes());
    bytes.resize(HEAD + filling, filler(token));
    bytes
}

/// The tokens of a value, and where each ends.
///
/// # Errors
/// If the bytes are no tokens: they were cut, mixed or never written.
pub(crate) fn read(mut bytes: &[u8]) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    while !bytes.is_empty() {
        let Some((head, rest)) = bytes.split_at_checked(HEAD) else {
            return Err(format!("{} bytes of a token", bytes.len()));
        };
        let number =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (token, len) = (number(0), number(4) as usize);
        let Some((filling, rest)) = rest.split_at_checked(len) else {
            return Err(format!("token {token} lacks {} bytes", len - rest.len()));
        };
        if filling.iter().any(|&byte| byte != filler(token)) {
            return Err(format!("the filling of token {token} is not its own"));
        }
        tokens.push(token);
        bytes = rest;
    }
    Ok(tokens)
}

fn filler(token: Token) -> u8 {
    token.wrapping_mul(31).wrapping_add(7) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_back() {
        let bytes = [write(7, 0), write(9, 100), write(1 << 20, 3)].concat();
        assert_eq!(read(&bytes), Ok(vec![7, 9, 1 << 20]));
    }

    #[test]
    fn damage_is_seen() {
        let bytes = write(9, 100);
        assert!(read(&bytes[..50]).is_err());
        assert!(read(&bytes[..5]).is_err());
        let mut other = bytes;
        other[20] ^= 1;
        assert!(read(&other).is_err());
    }
}
