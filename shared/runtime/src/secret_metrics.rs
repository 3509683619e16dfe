//! Metrics of the secrets: which keys a process has, and whether it uses the present content of each file.
//!
//! They show when a rotation has arrived everywhere. The names of keys are in every event, so they are no secret.

use crate::secret_check::KeyRing;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use std::fmt;

/// The keys of codes, and the files of secrets. Each service registers this once.
pub struct SecretMetrics<F> {
    keys: KeyRing,
    others: F,
}

impl<F: Fn() -> Vec<(&'static str, bool)>> SecretMetrics<F> {
    /// `others`: the variables of further files, each with whether its present content is in use.
    #[must_use]
    pub fn new(keys: KeyRing, others: F) -> Self {
        Self { keys, others }
    }
}

impl<F> fmt::Debug for SecretMetrics<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretMetrics")
    }
}

impl<F> Collector for SecretMetrics<F>
where
    F: Fn() -> Vec<(&'static str, bool)> + Send + Sync + 'static,
{
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let help = "Place of a key in CODE_SECRETS; the first one makes codes";
        let mut family = encoder.encode_descriptor("code_key_place", help, None, MetricType::Gauge)?;
        for (key, place) in self.keys.get().iter().zip(1_i64..) {
            let labels = [("key", key.id().to_string())];
            ConstGauge::new(place).encode(family.encode_family(&labels)?)?;
        }
        let help = "0 while the present content of a file with a secret is not in use; the log says which";
        let in_use = self.keys.file().into_iter().chain((self.others)()).all(|(_, in_use)| in_use);
        let in_use = ConstGauge::new(i64::from(in_use));
        in_use.encode(encoder.encode_descriptor("secret_files_in_use", help, None, MetricType::Gauge)?)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use contract::code_secrets::CodeSecrets;
    use prometheus_client::{encoding::text, registry::Registry};

    #[test]
    fn keys_have_their_places_and_files_their_state() {
        let secret = |byte: char| byte.to_string().repeat(42) + "A=";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, format!("k2:{},k1:{}", secret('B'), secret('C'))).unwrap();
        let keys = Secret::from_files("CODE_SECRETS_FILE", vec![path.clone()], CodeSecrets::parse).unwrap();
        let mut registry = Registry::with_prefix("service");
        let metrics = SecretMetrics::new(keys.clone(), || vec![("SMTP_PASSWORD_FILE", true)]);
        registry.register_collector(Box::new(metrics));
        std::fs::write(&path, "broken").unwrap();
        let _ = keys.renewed();
        let mut written = String::new();
        text::encode(&mut written, &registry).unwrap();
        let samples: Vec<_> = written.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "service_code_key_place{key=\"k2\"} 1",
                "service_code_key_place{key=\"k1\"} 2",
                "service_secret_files_in_use 0",
            ]
        );
    }
}
