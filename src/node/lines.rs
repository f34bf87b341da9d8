//! Lines of a length that is bounded.

use std::io::{self, BufRead, Read};

/// The longest line that is read as a message, in bytes.
pub(super) const LONGEST: usize = 1 << 20;

/// What stood on a line.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Line {
    Text(String),
    Blank,
    TooLong,
    NotUtf8,
    End,
}

/// Reads up to the next line's end, or the end of the input. Of a line that is too long no more than
/// [`LONGEST`] bytes are ever in memory.
pub(super) fn next_line(input: &mut impl BufRead) -> io::Result<Line> {
    let mut bytes = Vec::new();
    let mut bounded = input.by_ref().take(LONGEST as u64 + 1);
    if bounded.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(Line::End);
    }
    if bytes.len() > LONGEST {
        if !bytes.ends_with(b"\n") {
            input.skip_until(b'\n')?;
        }
        return Ok(Line::TooLong);
    }
    Ok(match String::from_utf8(bytes) {
        Err(_) => Line::NotUtf8,
        Ok(text) if text.trim().is_empty() => Line::Blank,
        Ok(text) => Line::Text(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_passed_over_whole() {
        let mut input = vec![b'x'; 3 * LONGEST];
        input.extend(b"\n\n{}\n\xff\nend");
        let mut input = input.as_slice();
        let mut next = || next_line(&mut input).unwrap();
        assert_eq!(next(), Line::TooLong);
        assert_eq!(next(), Line::Blank);
        assert_eq!(next(), Line::Text("{}\n".to_owned()));
        assert_eq!(next(), Line::NotUtf8);
        assert_eq!(next(), Line::Text("end".to_owned()));
        assert_eq!(next(), Line::End);
    }
}
