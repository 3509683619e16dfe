//! Secrets: as the value of a variable, or in the file that `…_FILE` names.

use super::Env;
use crate::secret::Secret;
use std::fmt;

impl Env {
    /// Reads a secret from the variable `name`, or from the file that the variable `file` names. The value is never shown.
    pub fn secret<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        file: &'static str,
        parse: impl Fn(&str) -> Result<T, E> + Send + Sync + 'static,
    ) -> Option<Secret<T>> {
        match (self.read(name), self.read(file)) {
            (Some(_), Some(_)) => {
                self.problem(
                    file,
                    format!("expected without {name}: only one of the two can hold the secret"),
                );
                None
            }
            (Some(value), None) => parse(&value)
                .map(Secret::from)
                .map_err(|error| self.problem(name, format!("expected {error}; the value is not shown")))
                .ok(),
            (None, Some(path)) => Secret::from_files(file, vec![path.into()], parse)
                .map_err(|problem| self.problem(file, problem))
                .ok(),
            (None, None) => None,
        }
    }

    /// Reads a secret that must be there, as [`Env::secret`] does.
    pub fn required_secret<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        file: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Result<T, E> + Send + Sync + 'static,
    ) -> Option<Secret<T>> {
        let known = self.problems.len();
        let secret = self.secret(name, file, parse);
        // Unless something is there and can't be used.
        if secret.is_none() && self.problems.len() == known {
            self.problem(
                name,
                format!("is required, here or in the file that {file} names: expected {expected}"),
            );
        }
        secret
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{env::EnvError, secret::one_line};
    use std::fs;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<String>, EnvError> {
        let mut env = Env::from_pairs(pairs.iter().copied());
        let secret = env.secret("SMTP_PASSWORD", "SMTP_PASSWORD_FILE", one_line);
        env.finish(|| Some(secret.map(|secret| secret.get())))
    }

    #[test]
    fn a_secret_is_a_value_or_a_file_and_not_both() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "from file \r\n").unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[("SMTP_PASSWORD", "from variable")]).unwrap().as_deref(), Some("from variable"));
        assert_eq!(read(&[("SMTP_PASSWORD_FILE", path)]).unwrap().as_deref(), Some("from file "));
        let both = read(&[("SMTP_PASSWORD", "hunter2"), ("SMTP_PASSWORD_FILE", path)]).unwrap_err();
        assert_eq!(
            both.problems()[0].detail,
            "expected without SMTP_PASSWORD: only one of the two can hold the secret"
        );
        // An empty variable counts as absent, here too.
        assert!(read(&[("SMTP_PASSWORD", " "), ("SMTP_PASSWORD_FILE", path)]).unwrap().is_some());
    }

    #[test]
    fn a_required_one_is_asked_for_once() {
        let asked = |pairs: &[(&str, &str)]| {
            let mut env = Env::from_pairs(pairs.iter().copied());
            let secret = env.required_secret("ID_SECRET", "ID_SECRET_FILE", "32 bytes", one_line);
            env.finish(|| secret.map(|_| ())).unwrap_err().problems().to_vec()
        };
        let absent = asked(&[]);
        assert_eq!((absent.len(), absent[0].name), (1, "ID_SECRET"));
        assert!(absent[0].detail.contains("or in the file that ID_SECRET_FILE names: expected 32 bytes"));
        let away = asked(&[("ID_SECRET_FILE", "/nowhere/id")]);
        assert_eq!((away.len(), away[0].name), (1, "ID_SECRET_FILE"));
        assert!(away[0].detail.starts_with("/nowhere/id can't be read: "), "{}", away[0].detail);
    }
}
