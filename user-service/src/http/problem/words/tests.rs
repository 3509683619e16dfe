use super::*;
use crate::http::problem::{FieldError, FieldFault, Kind};
use actix_web::http::StatusCode;
use contract::{email_address::EmailAddressError as Email, person_name::PersonNameError as Name};
use std::collections::BTreeSet;
use texts::{Part, Sentence};

/// One problem with each sentence.
fn problems() -> Vec<Problem> {
    let wait = Duration::from_secs(1);
    vec![
        Problem::NotUtf8,
        Problem::BodyEndedEarly,
        Problem::FormShape,
        Problem::JsonShape,
        Problem::JsonEndedEarly,
        Problem::JsonInvalid { line: 1, column: 2 },
        Problem::InvalidFields(Vec::new()),
        Problem::WrongCode { attempts_left: 4 },
        Problem::WrongCode { attempts_left: 0 },
        Problem::WrongToken,
        Problem::GuessesUsedUp,
        Problem::TooManyWrongCodes(wait),
        Problem::UnknownId,
        Problem::TooSoon(wait),
        Problem::TooManyRequests(wait),
        Problem::Unavailable,
        Problem::Overloaded,
        Problem::Internal,
        Problem::NotFound,
        Problem::MethodNotAllowed("POST"),
        Problem::BodyTooLarge(1),
        Problem::RequestTooLarge,
        Problem::HeadTooLarge,
        Problem::LengthRequired,
        Problem::CrossSite,
        Problem::ContentType,
        Problem::Charset,
        Problem::ContentEncoding,
        Problem::RequestTimeout,
        Problem::Malformed(StatusCode::BAD_REQUEST),
        Problem::ConnectionEnded,
    ]
}

fn faults() -> Vec<FieldFault> {
    use FieldFault as F;
    let own = [
        F::Missing,
        F::NoText,
        F::NotWithCode,
        F::NotWithId,
        F::NeitherCodeNorToken,
        F::Language,
        F::Code,
        F::Token,
    ];
    let names = [Name::Length, Name::Character, Name::Illegible, Name::Period, Name::NoLetter];
    let emails = [
        Email::Empty,
        Email::TooLong,
        Email::Shape,
        Email::QuotedLocalPart,
        Email::LocalPart,
        Email::Illegible,
        Email::IpLiteral,
        Email::Domain,
    ];
    own.into_iter().chain(names.map(F::Name)).chain(emails.map(F::Email)).collect()
}

/// The texts in quotes that this source returns as keys.
fn keys_in(source: &'static str) -> BTreeSet<&'static str> {
    let body = source.split("const fn key(").nth(1).unwrap().split("\n    }\n").next().unwrap();
    body.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

fn places(sentence: &Sentence) -> BTreeSet<&str> {
    let mut places = BTreeSet::new();
    for part in sentence.parts() {
        if let Part::Place(name) = part {
            places.insert(&**name);
        }
    }
    places
}

/// The English keys below a prefix, without those of mails that have no link.
fn english_keys(prefix: &'static str) -> BTreeSet<&'static str> {
    english().keys(prefix).filter(|key| !key.ends_with("_without_link")).collect()
}

#[test]
fn every_sentence_of_a_problem_is_there_in_english_with_exactly_the_places_that_are_filled() {
    let problems = problems();
    let keys: BTreeSet<_> = problems.iter().map(Problem::key).collect();
    assert_eq!(keys, keys_in(include_str!("../words.rs")), "a problem for each key");
    assert_eq!(keys, english_keys("problem.detail."));
    for problem in problems {
        let key = format!("problem.detail.{}", problem.key());
        let values = problem.values(english());
        let filled: BTreeSet<_> = values.iter().map(|(place, _)| *place).collect();
        for key in [key.clone(), format!("{key}_without_link")] {
            let sentence = english().counted(&key, 2);
            if !sentence.parts().is_empty() {
                assert_eq!(places(sentence), filled, "{key}");
            }
        }
        let body = serde_json::to_string(&problem.body(english())).unwrap();
        assert!(!body.contains("\"\""), "{key}: {body}");
    }
}

#[test]
fn every_title_and_every_fault_of_a_field_is_there_in_english_without_places() {
    let faults = faults();
    let keys: BTreeSet<_> = faults.iter().copied().map(FieldFault::key).collect();
    assert_eq!(keys, keys_in(include_str!("../fault.rs")), "a fault for each key");
    assert_eq!(keys, english_keys("problem.field."));
    let titles: BTreeSet<_> = problems().iter().map(|problem| problem.kind().title_key()).collect();
    let in_english: BTreeSet<_> =
        english_keys("problem.title.").into_iter().map(|key| format!("problem.title.{key}")).collect();
    assert_eq!(titles, in_english);
    for key in keys.into_iter().map(|key| format!("problem.field.{key}")).chain(titles) {
        let sentence = english().sentence(&key);
        assert!(!sentence.parts().is_empty() && places(sentence).is_empty(), "{key}");
    }
}

#[test]
fn a_problem_is_written_in_the_language_of_the_reader() {
    let mut faults = Faults::default();
    let texts = Texts::read(&Folder::default(), Settings { mail_has_link: false }, &mut faults);
    let german = texts.choose(["de-CH"]);
    let error = FieldError { field: "code", fault: FieldFault::Code };
    let body = |problem: Problem| serde_json::to_value(problem.body(german)).unwrap();
    let invalid = body(Problem::InvalidFields(vec![error]));
    assert_eq!(invalid["errors"][0]["detail"], german.words("problem.field.code"));
    assert_eq!(invalid["title"], german.words("problem.title.invalid_fields"));
    assert_ne!(invalid["title"], Kind::InvalidFields.title(english()));
    // In an installation whose mails have no link no sentence speaks of one.
    let used_up = body(Problem::GuessesUsedUp);
    assert_eq!(used_up["detail"], german.words("problem.detail.guesses_used_up_without_link"));
    assert_eq!(
        texts.english().words("problem.detail.guesses_used_up"),
        "Too many codes were tried here. Please start again."
    );
}

#[test]
fn numbers_take_their_forms_and_long_waits_are_said_in_minutes() {
    let detail = |problem: Problem| problem.detail(english());
    for (attempts_left, expected) in [
        (2, "That code is not right. You have 2 attempts left. The link in the email works, too."),
        (1, "That code is not right. You have 1 attempt left. The link in the email works, too."),
        (
            0,
            "That code is not right, and it was the last one to be tried here. Open the link in the email, which still works, or start again.",
        ),
    ] {
        assert_eq!(detail(Problem::WrongCode { attempts_left }), expected);
    }
    for (milliseconds, expected) in [
        (1, "in 1 second"),
        (1_001, "in 2 seconds"),
        (89_000, "in 89 seconds"),
        (89_001, "in 2 minutes"),
        (120_001, "in 3 minutes"),
    ] {
        let wait = Duration::from_millis(milliseconds);
        let expected = format!("That was a lot at once. Please try again {expected}.");
        assert_eq!(detail(Problem::TooManyRequests(wait)), expected);
    }
    assert_eq!(
        detail(Problem::JsonInvalid { line: 3, column: 7 }),
        "The JSON is not valid at line 3, column 7."
    );
    assert_eq!(detail(Problem::MethodNotAllowed("GET, HEAD")), "This path takes GET, HEAD.");
}
