//! Every kind of value, there and back.
use std::time::Duration;

use coppice::{open_handles, type_id, Code, Record, Tagged, Value};

use crate::support::{with_two_actors, LONG};

fn values() -> Vec<Value> {
    vec![
        Value::Nothing,
        true.into(),
        false.into(),
        0.into(),
        (-1).into(),
        (1i64 << 31).into(),
        i64::MAX.into(),
        i64::MIN.into(),
        0u64.into(),
        (1u64 << 63).into(),
        u64::MAX.into(),
        0.0.into(),
        (-1.5).into(),
        f64::INFINITY.into(),
        f64::NEG_INFINITY.into(),
        5e-324.into(),
        "".into(),
        "text".into(),
        "with a zero \0 inside".into(),
        "four bytes: \u{1d11e}".into(),
        b"".into(),
        b"\0\xff".into(),
        Value::List(vec![]),
        Value::List(vec![1.into(), Value::List(vec![2.5.into(), Value::list(["three"]), ().into()])]),
        Value::Map(vec![]),
        Value::Map(vec![
            ("name".into(), "tea".into()),
            (7.into(), Value::List(vec![b"x".into()])),
            (Value::Nothing, Value::map([(true, false)])),
            (Value::list([1]), Value::map([("a", 1)])),
        ]),
        Tagged::new(u64::MAX, *b"\0{}").into(),
        Tagged::new(0, []).into(),
        Record::new([]).into(),
        Record::new([1.into(), "x".into(), Value::list([()])]).into(),
        Record::named("shop::order", ["tea".into(), 3.into()]).unwrap().into(),
    ]
}

/// Lists within one another.
fn nested(levels: usize) -> Value {
    (1..levels).fold(Value::List(vec![]), |inner, _| Value::List(vec![inner]))
}

#[test]
fn arrive_as_they_were_sent() {
    with_two_actors(|two| {
        for value in values() {
            two.a.send(&two.to_b, &value).unwrap();
            let mail = two.b.receive_within(LONG).unwrap();
            assert_eq!(mail.value().unwrap(), value);
            assert!(!mail.is_request());
        }
    });
}

#[test]
fn arrive_by_waiting_for_room_too() {
    with_two_actors(|two| {
        for value in values() {
            two.a.send_within(&two.to_b, &value, LONG).unwrap();
            assert_eq!(two.b.receive_within(LONG).unwrap().value().unwrap(), value);
        }
    });
}

#[test]
fn come_back_as_answers() {
    with_two_actors(|two| {
        let give_back = |mail: coppice::Mail| mail.reply(mail.value().unwrap()).unwrap();
        two.while_b_answers(give_back, || {
            for value in values() {
                assert_eq!(two.a.ask(&two.to_b, &value, LONG), Ok(value));
            }
        });
    });
}

#[test]
fn tagged_bytes_within_another_value_are_read_as_such() {
    with_two_actors(|two| {
        let tagged = Value::from(Tagged::new(u64::MAX, *b"\0{}"));
        two.a.send(&two.to_b, Value::record([&tagged])).unwrap();
        let back = two.b.receive_within(LONG).unwrap().value().unwrap();
        let part = &back.as_record().unwrap().fields[0];
        assert_eq!(part.as_tagged(), Some((u64::MAX, &b"\0{}"[..])));
        // As it comes from another node.
        assert_eq!(Value::record([Value::from(u64::MAX), b"\0{}".into()]).as_tagged(), part.as_tagged());
        assert_eq!(Value::record([Value::from(-1), b"".into()]).as_tagged(), None);
    });
}

#[test]
fn a_map_keeps_its_order() {
    with_two_actors(|two| {
        let keys: Vec<i64> = (0..100).map(|n| n * 37 % 100).collect();
        two.a.send(&two.to_b, Value::map(keys.iter().map(|&key| (key, ())))).unwrap();
        let back = two.b.receive_within(LONG).unwrap().value().unwrap();
        let back: Vec<i64> = back.as_map().unwrap().iter().map(|pair| pair.0.as_i64().unwrap()).collect();
        assert_eq!(back, keys);
    });
}

#[test]
fn not_a_number_and_the_negative_zero_stay_such() {
    with_two_actors(|two| {
        let there = |x: f64| {
            two.a.send(&two.to_b, x).unwrap();
            two.b.receive_within(LONG).unwrap().value().unwrap().as_f64().unwrap()
        };
        assert!(there(f64::NAN).is_nan());
        assert!(there(-0.0).is_sign_negative());
    });
}

#[test]
fn of_sixteen_mebibytes_arrive() {
    with_two_actors(|two| {
        for value in [Value::from("x".repeat(16 << 20)), vec![b'y'; 16 << 20].into()] {
            two.a.send(&two.to_b, &value).unwrap();
            // Not assert_eq, which would print both.
            assert!(two.b.receive_within(LONG).unwrap().value().unwrap() == value);
        }
    });
}

#[test]
fn a_ref_leads_back() {
    with_two_actors(|two| {
        two.a.send(&two.to_b, Value::list([two.a.me().unwrap()])).unwrap();
        let mail = two.b.receive_within(LONG).unwrap();
        let value = mail.value().unwrap();
        let back = value.as_list().unwrap()[0].as_actor().unwrap();
        assert_eq!(Some(back), mail.sender().unwrap().as_ref());
        assert_ne!(back, &two.to_b);
        assert_eq!(value, Value::list([back]));
        assert_ne!(value, Value::list([&two.to_b]));
        assert_eq!(two.to_b.to_string(), two.b.path());
        two.b.send(back, "here").unwrap();
        assert_eq!(two.a.receive_within(LONG).unwrap().value().unwrap(), Value::from("here"));
    });
}

#[test]
fn are_refused_that_are_nested_deeper_than_the_limit_and_nothing_is_left() {
    with_two_actors(|two| {
        two.a.send(&two.to_b, nested(32)).unwrap();
        assert_eq!(two.b.receive_within(LONG).unwrap().value().unwrap(), nested(32));
        let before = open_handles();
        let deep = [
            nested(33),
            nested(1000),
            Value::map([(nested(32), 1)]),
            Value::map([(1, nested(32))]),
            Value::List(vec!["first".into(), Record::new([nested(31)]).into()]),
        ];
        for value in &deep {
            let error = two.a.send(&two.to_b, value).unwrap_err();
            assert_eq!(error.code(), Code::TooLarge);
            assert!(error.text().contains("flatten"), "{error}");
            assert_eq!(two.a.ask(&two.to_b, value, LONG).unwrap_err().code(), Code::TooLarge);
            assert_eq!(two.a.publish("news", value).unwrap_err().code(), Code::TooLarge);
        }
        assert_eq!(open_handles(), before);
        assert_eq!(two.b.receive_within(Duration::ZERO).unwrap_err().code(), Code::Timeout);
    });
}

#[test]
fn a_type_has_the_number_of_its_name() {
    let order = type_id("shop::order").unwrap();
    assert_eq!(Record::named("shop::order", []).unwrap().type_id, order);
    assert_ne!(order, type_id("shop::price").unwrap());
    assert_eq!(type_id("shop\0::order").unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn are_read_as_what_they_are_alone() {
    assert_eq!(Value::from(u64::MAX).as_i64(), None);
    assert_eq!(Value::from(7u64).as_i64(), Some(7));
    assert_eq!(Value::from(-7).as_u64(), None);
    assert_eq!(Value::from("7").as_i64(), None);
    assert_eq!(Value::from(7).as_f64(), None);
    assert_eq!(Value::from(Some("x")).as_text(), Some("x"));
    assert!(Value::from(None::<bool>).is_nothing());
    assert_eq!(Value::record([1, 2]).as_tagged(), None);
}
