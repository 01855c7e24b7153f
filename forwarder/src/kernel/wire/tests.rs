use proptest::prelude::*;

use super::*;

fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Request::new(kind, 0, payload).append(7, 0, &mut bytes);
    bytes
}

#[test]
fn a_datagram_is_cut_into_its_messages() {
    let mut datagram = message(20, &[1, 2, 3, 4]);
    datagram.extend(message(21, &[]));
    let messages: Vec<_> = Messages::new(&datagram).map(Result::unwrap).collect();
    assert_eq!(messages.len(), 2);
    assert_eq!(
        (messages[0].0.kind, messages[0].0.sequence, messages[0].1),
        (20, 7, &[1, 2, 3, 4][..])
    );
    assert_eq!((messages[1].0.kind, messages[1].1), (21, &[][..]));
}

#[test]
fn a_length_beyond_the_datagram_ends_it() {
    let mut datagram = message(20, &[1, 2, 3, 4]);
    datagram[0] = 200;
    let messages: Vec<_> = Messages::new(&datagram).collect();
    assert_eq!(messages, [Err(Malformed::MessageLength)]);
}

#[test]
fn a_length_below_the_header_ends_it_rather_than_looping() {
    let mut datagram = message(20, &[]);
    datagram[..4].copy_from_slice(&0u32.to_ne_bytes());
    assert_eq!(
        Messages::new(&datagram).collect::<Vec<_>>(),
        [Err(Malformed::MessageLength)]
    );
}

#[test]
fn attributes_are_padded_and_their_flag_bits_removed() {
    let request = Request::new(0, 0, &[])
        .attribute(3 | 0x8000, &[9])
        .u32(4, 5);
    let attributes: Vec<_> = Attributes::new(request.body())
        .map(Result::unwrap)
        .collect();
    assert_eq!(request.body().len(), 16);
    assert_eq!((attributes[0].kind, attributes[0].value), (3, &[9][..]));
    assert_eq!((attributes[1].kind, attributes[1].u32()), (4, Ok(5)));
}

#[test]
fn the_last_attribute_may_lack_its_padding() {
    let bytes = [5u16.to_ne_bytes(), 1u16.to_ne_bytes()].concat();
    let bytes = [bytes.as_slice(), &[42]].concat();
    let value = Attributes::new(&bytes).next().unwrap().unwrap().u8();
    assert_eq!(value, Ok(42));
}

#[test]
fn values_of_the_wrong_size_are_refused() {
    let attribute = Attribute {
        kind: 1,
        value: &[1, 2, 3],
    };
    assert_eq!(attribute.u32(), Err(Malformed::ValueSize));
    assert_eq!(attribute.ipv4(), Err(Malformed::ValueSize));
    assert_eq!(attribute.ip(), Err(Malformed::ValueSize));
    assert_eq!(attribute.mac(), None);
}

#[test]
fn text_ends_at_the_first_nul_and_need_not_be_utf8() {
    let text = |value: &'static [u8]| Attribute { kind: 1, value }.text();
    assert_eq!(text(b"eth0\0junk"), "eth0");
    assert_eq!(text(b"eth0"), "eth0");
    assert_eq!(text(b"e\xffh"), "e\u{fffd}h");
}

fn header(kind: libc::c_int, flags: libc::c_int) -> Header {
    let kind = u16::try_from(kind).unwrap();
    Header {
        kind,
        flags: u16::try_from(flags).unwrap(),
        sequence: 1,
        port: 1,
    }
}

#[test]
fn errors_carry_the_errno_and_the_kernels_words() {
    let mut payload = (-libc::EEXIST).to_ne_bytes().to_vec();
    payload.extend([0; HEADER_LEN]);
    let words = Request::new(0, 0, &[]).attribute(1, b"File exists\0");
    payload.extend(words.body());
    let capped = outcome(header(libc::NLMSG_ERROR, libc::NLM_F_CAPPED), &payload);
    assert_eq!(capped, (libc::EEXIST, Some("File exists".to_owned())));
    assert_eq!(outcome(header(libc::NLMSG_ERROR, 0), &[0; 20]), (0, None));
    let done = outcome(header(libc::NLMSG_DONE, 0), &(-libc::EINTR).to_ne_bytes());
    assert_eq!(done, (libc::EINTR, None));
}

proptest! {
    /// Whatever arrives: no panic, no endless loop, nothing out of bounds.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for message in Messages::new(&bytes) {
            let Ok((header, payload)) = message else { continue };
            let _ = outcome(header, payload);
        }
        for attribute in Attributes::new(&bytes).flatten() {
            let _ = (attribute.text(), attribute.ip(), attribute.nested().count());
        }
    }

    /// What is built is read back.
    #[test]
    fn requests_are_read_back(values in prop::collection::vec((1..0x3fffu16, prop::collection::vec(any::<u8>(), 0..40)), 0..8)) {
        let mut request = Request::new(24, 0, &[1, 2, 3]);
        for (kind, value) in &values {
            request = request.attribute(*kind, value);
        }
        let mut bytes = Vec::new();
        request.append(1, 0, &mut bytes);
        let (_, payload) = Messages::new(&bytes).next().unwrap().unwrap();
        let attributes = Attributes::new(&payload[4..]).map(Result::unwrap);
        let read: Vec<_> = attributes.map(|a| (a.kind, a.value.to_vec())).collect();
        prop_assert_eq!(read, values);
    }
}
