//! The fields of a body: each is parsed into its type, and every wrong one is reported.

use super::problem::{FieldError, FieldFault, Problem};
use serde_json::Value;

/// Parses fields into their types, and collects the errors.
#[derive(Default)]
pub(crate) struct Fields(Vec<FieldError>);

impl Fields {
    /// Parses a required field.
    pub(crate) fn required<T, E: Into<FieldFault>>(
        &mut self,
        field: &'static str,
        value: Option<Value>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match value {
            None | Some(Value::Null) => self.refuse(field, FieldFault::Missing),
            Some(value) => self.parse(field, &value, parse),
        }
    }

    /// Parses a field that may be missing, null or empty.
    pub(crate) fn optional<T, E: Into<FieldFault>>(
        &mut self,
        field: &'static str,
        value: Option<Value>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match value {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(value) => self.parse(field, &value, parse),
        }
    }

    /// Records what is wrong with a field.
    pub(crate) fn refuse<T>(&mut self, field: &'static str, fault: FieldFault) -> Option<T> {
        self.0.push(FieldError { field, fault });
        None
    }

    /// The problem that lists all wrong fields.
    pub(crate) fn into_problem(self) -> Problem {
        Problem::InvalidFields(self.0)
    }

    /// Whether no field has been wrong so far.
    pub(crate) fn are_valid(&self) -> bool {
        self.0.is_empty()
    }

    fn parse<T, E: Into<FieldFault>>(
        &mut self,
        field: &'static str,
        value: &Value,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Value::String(text) = value else { return self.refuse(field, FieldFault::NoText) };
        match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(error) => self.refuse(field, error.into()),
        }
    }
}
