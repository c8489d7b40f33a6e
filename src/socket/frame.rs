//! Websocket frames as a server writes them: whole messages, not masked (RFC 6455, section 5.2).

/// The first byte of a text message in one frame.
const FINAL_TEXT: u8 = 0x81;
/// Close, 2 bytes of payload: status 1001, "going away".
pub const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xE9];

/// Appends a text frame whose payload is the parts, one after the other.
pub fn push_text(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.reserve(length + 10);
    out.push(FINAL_TEXT);
    match length {
        0..=125 => out.push(length as u8),
        126..=0xFFFF => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// The first frame of `bytes`: where its payload begins and where it ends.
/// `None` where the frame is not whole.
pub fn split(bytes: &[u8]) -> Option<(usize, usize)> {
    let (start, length): (usize, usize) = match bytes.get(1)? & 0x7F {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?) as usize),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        length => (2, length as usize),
    };
    let end = start.checked_add(length)?;
    (end <= bytes.len()).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_split_again(length in prop_oneof![0usize..300, 65_000usize..66_000], tail in 0usize..20) {
            let payload = vec![b'x'; length];
            let (left, right) = payload.split_at(length / 2);
            let mut bytes = Vec::new();
            push_text(&mut bytes, &[left, right]);
            let frame = bytes.len();
            bytes.resize(frame + tail, 0);
            let (start, end) = split(&bytes).unwrap();
            prop_assert_eq!(end, frame);
            prop_assert_eq!(&bytes[start..end], &payload[..]);
            prop_assert_eq!(split(&bytes[..frame - 1]), None);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some((start, end)) = split(&bytes) {
                prop_assert!(start <= end && end <= bytes.len());
            }
        }
    }
}
