//! Websocket frames (RFC 6455, section 5.2), as far as the benchmark sends and reads them.

const FINAL_TEXT: u8 = 0x81;
const MASKED: u8 = 0x80;
/// In place of a length: it follows in two bytes, or in eight.
const TWO_BYTES: u8 = 0x7E;
const EIGHT_BYTES: u8 = 0x7F;

/// Appends a text frame as a server sends it.
pub fn push_text(out: &mut Vec<u8>, payload: &[u8]) {
    push_header(out, payload.len(), 0);
    out.extend_from_slice(payload);
}

/// Appends a text frame as a client sends it; masked with zeros, so the payload stands as it is.
pub fn push_masked(out: &mut Vec<u8>, payload: &[u8]) {
    push_header(out, payload.len(), MASKED);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

fn push_header(out: &mut Vec<u8>, length: usize, mask: u8) {
    out.push(FINAL_TEXT);
    match length {
        0..=125 => out.push(mask | length as u8),
        126..=0xFFFF => {
            out.push(mask | TWO_BYTES);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | EIGHT_BYTES);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// Where the first frame's payload begins and ends, if the frame is whole.
pub fn split(bytes: &[u8]) -> Option<(usize, usize)> {
    let second = *bytes.get(1)?;
    let (header, length) = match second & !MASKED {
        TWO_BYTES => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?) as usize),
        EIGHT_BYTES => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        length => (2, length as usize),
    };
    let start = if second & MASKED == 0 { header } else { header + 4 };
    (start + length <= bytes.len()).then_some((start, start + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_back_whole_or_not_at_all() {
        for length in [0, 1, 125, 126, 400, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            for push in [push_text, push_masked] {
                let mut bytes = Vec::new();
                push(&mut bytes, &payload);
                let (start, end) = split(&bytes).unwrap();
                assert_eq!((&bytes[start..end], end), (&payload[..], bytes.len()));
                assert_eq!(split(&bytes[..bytes.len() - 1]), None);
            }
        }
    }
}
