use std::time::{Duration, UNIX_EPOCH};

use biscuit_auth::{BlockBuilder, KeyPair};

use super::*;

fn token(authority: &str) -> Biscuit {
    Biscuit::builder().code(authority).unwrap().build(&KeyPair::new()).unwrap()
}

fn append(token: &Biscuit, block: &str) -> Biscuit {
    token.append(BlockBuilder::new().code(block).unwrap()).unwrap()
}

fn read(authority: &str) -> Result<Warrant, WarrantFault> {
    Warrant::read(token(authority))
}

fn appended(block: &str) -> Result<Warrant, WarrantFault> {
    Warrant::read(append(&token(r#"device("d")"#), block))
}

#[test]
fn the_five_facts_are_read() {
    let warrant = read(r#"user("u1"); device("till"); role("SYSTEM"); staff("cvenue0001", "CHEF"); tab("ctab000001")"#);
    let warrant = warrant.unwrap();
    assert_eq!(warrant.user, UserId::parse("u1"));
    assert!(warrant.is_backend);
    assert!(warrant.label.starts_with("u1 (token "), "{}", warrant.label);
    assert_eq!(warrant.revocation_ids.len(), 1);
    assert!(!format!("{warrant:?}").contains(&warrant.token.to_base64().unwrap()));
}

#[test]
fn what_names_nobody_or_two_is_refused() {
    assert_eq!(read("").unwrap_err(), WarrantFault::NamesNobody);
    assert_eq!(read(r#"colour("red")"#).unwrap_err(), WarrantFault::NamesNobody);
    assert_eq!(read(r#"user("a"); user("b")"#).unwrap_err(), WarrantFault::Several("user"));
    for form in [
        "user(1)",
        r#"user("a b")"#,
        r#"user("a", "b")"#,
        r#"device("")"#,
        r#"role("ROOT")"#,
        r#"staff("cvenue0001", "KING")"#,
        r#"staff("x", "CHEF")"#,
        r#"tab("x")"#,
    ] {
        assert!(matches!(read(form), Err(WarrantFault::Form(_))), "{form}");
    }
}

#[test]
fn a_token_does_not_say_where_it_is() {
    for fact in [
        r#"room("kitchen", "cvenue0001")"#,
        r#"operation("broadcast")"#,
        r#"venue("cvenue0001")"#,
        r#"tab_customer("u")"#,
    ] {
        assert!(matches!(read(&format!("device(\"d\"); {fact}")), Err(WarrantFault::Reserved(_))), "{fact}");
    }
}

#[test]
fn nobody_derives_or_appends_facts() {
    assert_eq!(read(r#"device("d"); role("SYSTEM") <- device($d)"#).unwrap_err(), WarrantFault::Derives);
    assert_eq!(appended(r#"role("SYSTEM")"#).unwrap_err(), WarrantFault::Derives);
    assert_eq!(appended(r#"role("SYSTEM") <- device($d)"#).unwrap_err(), WarrantFault::Derives);
    assert!(appended(r#"check if operation("kitchen:join")"#).is_ok());
}

/// The library prints strings as they are, so what it printed must never be read again.
#[test]
fn a_string_is_never_taken_for_code() {
    let mut block = BlockBuilder::new();
    block.facts.push(biscuit_auth::builder::fact("note", &[Term::Str("\"); check if true; x(\"".to_owned())]));
    assert_eq!(Warrant::read(token(r#"device("d")"#).append(block).unwrap()).unwrap_err(), WarrantFault::Derives);
}

#[test]
fn what_would_take_long_is_refused_unread() {
    let many = (0..100).map(|n| format!("n({n});")).collect::<Vec<_>>().concat();
    let product = "check if n($a), n($b), n($c), n($d), $a + $b + $c + $d == -1";
    assert_eq!(
        Warrant::read(append(&token(&format!("device(\"d\"); {many}")), product)).unwrap_err(),
        WarrantFault::TooMuch("2000 combinations of facts to look at")
    );
    let staff = "check if staff($a, $b), staff($c, $d)";
    assert!(matches!(appended(staff), Err(WarrantFault::TooMuch(_))));
    for expensive in [
        "check if room($k, $id), $id.matches(\"(a{1000}){1000}\")",
        "check if {1, 2}.all($a -> {1, 2}.any($b -> $a == $b))",
        "check if true && {1, 2}.all($a -> $a > 0)",
    ] {
        assert_eq!(appended(expensive).unwrap_err(), WarrantFault::Expensive, "{expensive}");
    }
    let checks: String = (0..65).map(|_| "check if true;").collect();
    assert!(matches!(appended(&checks), Err(WarrantFault::TooMuch(_))));
    let mut long = token(r#"device("d")"#);
    for _ in 0..16 {
        long = append(&long, "check if true");
    }
    assert!(matches!(Warrant::read(long), Err(WarrantFault::TooMuch(_))));
}

#[test]
fn the_usual_checks_on_the_time_are_an_end() {
    let end = |block: &str| appended(block).unwrap().expires_at;
    let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(end("check if time($t), $t < 2030-01-01T00:00:00Z"), at(1_893_456_000));
    assert_eq!(end("check if time($t), $t <= 2030-01-01T00:00:00Z"), at(1_893_456_001));
    assert_eq!(end("check if time($x), 2030-01-01T00:00:00Z > $x, operation($o)"), at(1_893_456_000));
    let two = "check if time($t), $t < 2031-01-01T00:00:00Z; check if time($t), $t < 2030-01-01T00:00:00Z";
    assert_eq!(end(two), at(1_893_456_000));
    let either = "check if time($t), $t < 2030-01-01T00:00:00Z or time($t), $t < 2031-01-01T00:00:00Z";
    assert_eq!(end(either), at(1_924_992_000));
    for unbounded in [
        "check if time($t), $t < 2030-01-01T00:00:00Z or operation(\"kitchen:join\")",
        "check if time($t), $t > 2030-01-01T00:00:00Z",
        "reject if time($t), $t < 2030-01-01T00:00:00Z",
        "check if operation($t), time($x), $t < 2030-01-01T00:00:00Z",
    ] {
        assert_eq!(end(unbounded), None, "{unbounded}");
    }
    let points = appended("check if time($t), $t >= 2030-01-01T00:00:00Z && $t < 2031-01-01T00:00:00Z");
    assert_eq!(points.unwrap().turning_points.len(), 4);
}

#[test]
fn a_revocation_id_is_hexadecimal() {
    let id = RevocationId::of(&[0xab; 64]);
    assert_eq!(RevocationId::parse(id.as_str()), Some(id));
    for bad in ["", "ab", &"AB".repeat(32), &"zz".repeat(32), &"a".repeat(33), &"ab".repeat(100)] {
        assert!(RevocationId::parse(bad).is_none(), "{bad}");
    }
}
