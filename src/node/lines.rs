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

/// Reads a line without its end, which the end of the input does as well as `\n` and `\r\n`. Of a line that is too
/// long hardly more than [`LONGEST`] bytes are ever in memory. A byte order mark, which some shells put before what
/// they pipe, is passed over.
pub(super) fn next_line(input: &mut impl BufRead) -> io::Result<Line> {
    let mut bytes = Vec::new();
    let mut bounded = input.by_ref().take((LONGEST + "\r\n".len()) as u64);
    if bounded.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(Line::End);
    }
    let ended = bytes.pop_if(|last| *last == b'\n').is_some();
    if ended {
        bytes.pop_if(|last| *last == b'\r');
    }
    if bytes.len() > LONGEST {
        if !ended {
            input.skip_until(b'\n')?;
        }
        return Ok(Line::TooLong);
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return Ok(Line::NotUtf8);
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(if text.trim().is_empty() {
        Line::Blank
    } else {
        Line::Text(text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_a_line_is_no_part_of_it() {
        let longest = "x".repeat(LONGEST);
        for end in ["", "\n", "\r\n"] {
            for line in ["{}", "\u{feff}{}", &longest] {
                let input = format!("{line}{end}");
                let text = line.trim_start_matches('\u{feff}').to_owned();
                assert_eq!(next_line(&mut input.as_bytes()).unwrap(), Line::Text(text));
            }
            let input = format!("{longest}x{end}{{}}");
            let mut input = input.as_bytes();
            assert_eq!(next_line(&mut input).unwrap(), Line::TooLong);
            assert_eq!(input, if end.is_empty() { "" } else { "{}" }.as_bytes());
        }
    }

    #[test]
    fn a_long_line_is_passed_over_whole() {
        let mut input = vec![b'x'; 3 * LONGEST];
        input.extend(b"\n\n{}\n\xff\nend");
        let mut input = input.as_slice();
        let mut next = || next_line(&mut input).unwrap();
        assert_eq!(next(), Line::TooLong);
        assert_eq!(next(), Line::Blank);
        assert_eq!(next(), Line::Text("{}".to_owned()));
        assert_eq!(next(), Line::NotUtf8);
        assert_eq!(next(), Line::Text("end".to_owned()));
        assert_eq!(next(), Line::End);
    }
}
