//! A validator for the part of JSON Schema 2020-12 that the published schemas use. Any other keyword panics,
//! so that nothing passes unchecked. A full validator checks the same files in `examples/subscriber/tests`.

use crate::document;
use jiff::Timestamp;
use regex::Regex;
use serde_json::Value;
use uuid::Uuid;

/// The problems with a value; empty when it is valid.
pub(crate) fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "examples" => true,
            "$ref" => {
                let (file, pointer) = wanted.as_str().unwrap().split_once('#').expect("file#pointer");
                let document = document(&format!("schemas/{file}"));
                let referred = document.pointer(pointer).unwrap_or_else(|| panic!("no {wanted}"));
                problems.extend(self::problems(referred, value));
                true
            }
            "type" => match wanted.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "null" => value.is_null(),
                other => panic!("the type {other} is not known here"),
            },
            "properties" => {
                for (name, schema) in wanted.as_object().unwrap() {
                    let found = value.get(name).map(|value| self::problems(schema, value));
                    problems.extend(found.into_iter().flatten().map(|problem| format!("{name}: {problem}")));
                }
                true
            }
            "items" => {
                let elements = value.as_array().into_iter().flatten();
                problems.extend(elements.flat_map(|element| self::problems(wanted, element)));
                true
            }
            "minItems" => elements(value).is_none_or(|count| count >= wanted.as_u64().unwrap()),
            "maxItems" => elements(value).is_none_or(|count| count <= wanted.as_u64().unwrap()),
            "required" => {
                let names = wanted.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                !value.is_object() || names.into_iter().all(|name| value.get(name).is_some())
            }
            "const" => value == wanted,
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
            "minLength" => length(value).is_none_or(|length| length >= wanted.as_u64().unwrap()),
            "maxLength" => length(value).is_none_or(|length| length <= wanted.as_u64().unwrap()),
            "pattern" => {
                let pattern = Regex::new(wanted.as_str().unwrap()).expect("a regular expression");
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            "format" => value.as_str().is_none_or(|text| match wanted.as_str().unwrap() {
                "date-time" => text.parse::<Timestamp>().is_ok(),
                "uuid" => text.len() == 36 && Uuid::parse_str(text).is_ok(),
                "idn-email" => text.split_once('@').is_some_and(|(name, domain)| {
                    !name.is_empty() && !domain.is_empty() && !domain.contains('@')
                }),
                other => panic!("the format {other} is not known here"),
            }),
            other => panic!("the keyword {other} is not known here"),
        };
        if !holds {
            problems.push(format!("{value} is not {keyword} {wanted}"));
        }
    }
    problems
}

/// In characters, as JSON Schema counts.
fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

fn elements(value: &Value) -> Option<u64> {
    value.as_array().map(|elements| elements.len() as u64)
}
