//! What is a reply, and that nothing else does harm.

use super::*;
use proptest::prelude::*;

/// All replies of an input in one piece, and the error that ends it.
fn read(mut input: &[u8]) -> (Vec<Reply>, Result<(), ReplyError>) {
    let mut parser = ReplyParser::default();
    let mut replies = Vec::new();
    loop {
        match parser.take(&mut input) {
            Ok(Some(reply)) => replies.push(reply),
            Ok(None) => return (replies, Ok(())),
            Err(error) => return (replies, Err(error)),
        }
    }
}

/// The only reply of an input.
fn one(input: &[u8]) -> Reply {
    match read(input) {
        (mut replies, Ok(())) if replies.len() == 1 => replies.remove(0),
        other => panic!("{}: {other:?}", String::from_utf8_lossy(input)),
    }
}

fn status(class: u8, subject: u16, detail: u16) -> Option<EnhancedStatus> {
    Some(EnhancedStatus { class, subject, detail })
}

#[test]
fn a_reply_is_read_by_its_code_and_separator_alone() {
    let cases: [(&[u8], u16, &str); 11] = [
        (b"250 ok\r\n", 250, "ok"),
        (b"250\r\n", 250, ""),
        (b"250\n", 250, ""),
        (b"250 \n", 250, ""),
        (b"250 ok\n", 250, "ok"),
        (b"250 ok \r\r\n", 250, "ok"),
        (b"250\tok\r\n", 250, "ok"),
        (b"220 caf\xe9 ESMTP\r\n", 220, "caf\u{fffd} ESMTP"),
        (b"220 a\0\x1b[2J\r\n", 220, "a  [2J"),
        (b"250-a\r\n250-\r\n250 b\r\n", 250, "a\n\nb"),
        (b"250-a\n250-b\n250\n", 250, "a\nb\n"),
    ];
    for (input, code, text) in cases {
        assert_eq!(one(input), Reply { code, enhanced: None, text: text.to_owned() });
    }
    assert_eq!(one(b"550 5.1.1 \xd3\xca\xcf\xe4\r\n").enhanced, status(5, 1, 1));
}

#[test]
fn several_replies_in_one_packet_stay_apart() {
    let (replies, ended) = read(b"250 ok\r\n550-5.1.1 no\r\n550 5.1.1 such user\r\n354 go\r\n25");
    assert_eq!((replies.iter().map(|reply| reply.code).collect(), ended), (vec![250, 550, 354], Ok(())));
}

#[test]
fn what_is_no_reply_is_known_at_its_first_wrong_octet() {
    let cases: [&[u8]; 11] =
        [b"\n", b"\r\n", b"x", b"2x", b"25\r", b"2500", b"150", b"650", b" 250", b"-25", b"\xef\xbb\xbf220"];
    for input in cases {
        assert_eq!(read(input), (vec![], Err(ReplyError::NotAReply)), "{}", input.escape_ascii());
    }
}

#[test]
fn a_tls_record_is_told_apart() {
    for input in [b"\x15\x03\x01", b"\x16\x03\x03"] {
        assert_eq!(read(input), (vec![], Err(ReplyError::Tls)));
    }
}

#[test]
fn lines_of_one_reply_have_one_class_and_the_last_one_has_the_code() {
    assert_eq!(read(b"250-a\r\n550 b\r\n"), (vec![], Err(ReplyError::NotAReply)));
    assert_eq!(read(b"250-a\r\nno code\r\n"), (vec![], Err(ReplyError::NotAReply)));
    assert_eq!(one(b"550-a\r\n554 b\r\n").code, 554);
}

#[test]
fn an_enhanced_status_is_found_where_servers_write_it() {
    let cases = [
        ("550 5.7.1 relay access denied", status(5, 7, 1)),
        ("550-5.7.26 unauthenticated\r\n550 5.1.1 this line does not count", status(5, 7, 26)),
        ("451 4.3.0", status(4, 3, 0)),
        ("550 #5.1.0 Address rejected.", status(5, 1, 0)),
        ("553 sorry, that domain isn't in my list (#5.7.1)", status(5, 7, 1)),
        ("550 5.7.1: no", status(5, 7, 1)),
        ("550 5.7.1. no", status(5, 7, 1)),
        ("550 5.999.999 x", status(5, 999, 999)),
        ("550 4.7.1 another class", None),
        ("550 3.7.1", None),
        ("550 5.7 x", None),
        ("550 5.7.1.2 x", None),
        ("550 5.1000.1 x", None),
        ("550 5..1 x", None),
        ("550 192.0.2.1 is listed", None),
        ("550 no 5.7.1", None),
        ("550 5.7.1@example.com... User unknown", None),
        ("550 #5.7.1@example.com... User unknown", None),
        ("550 <x#5.7.1@example.com>: no such user", None),
        ("550 <#5.7.1@example.com>: no such user", None),
        ("550 no such user #5.7.1", None),
        ("550 no such user (x#5.7.1@example.com)", None),
        ("550 no such user (#5.7.1@example.com)", None),
        ("550 5.7.1+x@example.com unknown", None),
        ("550", None),
    ];
    for (text, expected) in cases {
        assert_eq!(one(format!("{text}\r\n").as_bytes()).enhanced, expected, "{text}");
    }
    assert_eq!(status(5, 7, 1).unwrap().to_string(), "5.7.1");
}

#[test]
fn a_reply_without_an_end_is_given_up_at_its_bound() {
    let endless = [
        std::iter::repeat_n(*b"250-x\r\n", 40_000).flatten().collect(),
        [b"250 ".to_vec(), vec![b'x'; 1 << 20]].concat(),
    ];
    for input in endless {
        assert_eq!(read(&input), (vec![], Err(ReplyError::TooLong)));
    }
    let longest = [b"250 ".to_vec(), vec![b'x'; LONGEST_REPLY - 5], b"\n".to_vec()].concat();
    assert_eq!(one(&longest).text.len(), LONGEST_REPLY - 5);
}

/// Octets that often are a reply, or nearly one.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    const KNOWN: [&[u8]; 9] =
        [b"250", b"250-", b"550 5.1.1 ", b"\r\n", b"\n", b"-", b" ", b"#5.7.1", b"\xd3\xca"];
    let known = prop::sample::select(&KNOWN[..]).prop_map(<[u8]>::to_vec);
    let any = prop::collection::vec(any::<u8>(), 0..40);
    let long = (1..70_000_usize).prop_map(|length| vec![b'x'; length]);
    let piece = prop_oneof![20 => known, 4 => any, 1 => long];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_comes_in_whatever_pieces_is_read_the_same_and_within_the_bound(
        input in octets(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let mut parser = ReplyParser::default();
        let (mut replies, mut ended, mut begin) = (Vec::new(), Ok(()), 0);
        'pieces: for end in cuts.into_iter().chain([input.len()]) {
            let mut piece = &input[begin..end];
            begin = end;
            loop {
                let before = piece.len();
                match parser.take(&mut piece) {
                    Ok(Some(reply)) => {
                        prop_assert!(piece.len() < before && parser.is_empty());
                        prop_assert!((200..600).contains(&reply.code));
                        prop_assert!(reply.text.len() <= 3 * LONGEST_REPLY);
                        prop_assert!(!reply.text.contains(|c: char| c.is_control() && c != '\n'));
                        replies.push(reply);
                    }
                    Ok(None) => break prop_assert!(piece.is_empty()),
                    Err(error) => {
                        ended = Err(error);
                        break 'pieces;
                    }
                }
                prop_assert!(parser.octets.len() <= LONGEST_REPLY);
            }
        }
        prop_assert_eq!((replies, ended), read(&input));
    }

    #[test]
    fn any_octets_behind_the_separator_are_text(
        code in 200..600_u16,
        lines in prop::collection::vec(prop::collection::vec(any::<u8>().prop_filter("one line", |octet| *octet != b'\n'), 0..80), 1..20),
    ) {
        let last = lines.len() - 1;
        let written = lines.iter().enumerate().map(|(number, line)| {
            let separator = if number < last { '-' } else { ' ' };
            [format!("{code}{separator}").as_bytes(), line, b"\r\n"].concat()
        });
        let reply = one(&written.collect::<Vec<_>>().concat());
        prop_assert_eq!((reply.code, reply.text.split('\n').count()), (code, lines.len()));
    }
}
