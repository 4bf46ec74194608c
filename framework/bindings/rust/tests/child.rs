//! The child of tests/capi/languages_test.cpp, which says what a child does.
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use coppice::{Actor, Record, Tagged, Value};

fn values(me: &Actor, large: usize) -> coppice::Result<Vec<Value>> {
    Ok(vec![
        Value::Nothing,
        true.into(),
        false.into(),
        0.into(),
        (-1).into(),
        i64::MAX.into(),
        i64::MIN.into(),
        u64::MAX.into(),
        0.5.into(),
        f64::NEG_INFINITY.into(),
        f64::NAN.into(),
        5e-324.into(),
        "".into(),
        "with a zero \0 inside".into(),
        "four bytes: \u{1d11e}".into(),
        "x".repeat(large).into(),
        b"".into(),
        b"\0\xff".into(),
        vec![0xab; large].into(),
        Value::List(vec![]),
        Value::List(vec![1.into(), Value::List(vec!["two".into(), Value::Nothing])]),
        Value::Map(vec![]),
        Value::Map(vec![("price".into(), 2.5.into()), (7.into(), Value::list([true]))]),
        me.me()?.into(),
        Record::new([1.into(), "x".into()]).into(),
        Tagged::new(u64::MAX, *b"\0{}").into(),
    ])
}

fn is_same(sent: &Value, back: &Value) -> bool {
    match (sent, back) {
        (Value::Real(x), Value::Real(y)) if x.is_nan() => y.is_nan(),
        // As part of another value it travels as a record.
        (Value::Tagged(_), _) => sent.as_tagged() == back.as_tagged(),
        _ => sent == back,
    }
}

fn short(what: impl std::fmt::Debug) -> String {
    format!("{what:?}").chars().take(100).collect()
}

fn ask_for_all(me: &Actor, path: &str, large: usize) -> coppice::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let to = me.find(path)?;
    for value in values(me, large)? {
        match me.ask(&to, Value::record([&value]), Duration::from_secs(60)) {
            Err(error) => wrong.push(format!("{}: {error}", short(&value))),
            Ok(back) if !is_same(&value, &back) => {
                wrong.push(format!("{} came back as {}", short(&value), short(&back)));
            }
            Ok(_) => {}
        }
    }
    Ok(wrong)
}

fn child(me: &Actor) -> Result<(), Box<dyn Error>> {
    for mail in me {
        let value = mail.value()?;
        if !mail.is_request() {
            panic!("{}", value.as_text().unwrap_or("a message that is no text"));
        }
        match value.as_record().map_or(&[][..], |record| &record.fields) {
            [] => mail.reply(std::process::id())?,
            [field] => mail.reply(field)?,
            [path, large, ..] => {
                let path = path.as_text().ok_or("no path")?;
                let large = large.as_u64().ok_or("no size")?;
                mail.reply(Value::list(ask_for_all(me, path, large.try_into()?)?))?;
            }
        }
    }
    Ok(())
}

fn main() -> coppice::Result<ExitCode> {
    coppice::run_as_child(child)
}
