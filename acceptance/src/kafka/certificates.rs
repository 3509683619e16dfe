//! Certificates for one test, which nothing else trusts.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use std::path::Path;

/// A certificate authority.
pub(super) struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

/// Whether a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    Now,
    Expired,
}

/// A certificate for `localhost`, and its key; both in PEM.
pub(super) struct Certificate {
    pem: String,
    key: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate for self-signed if its issuer has the same name.
        params.distinguished_name.push(DnType::CommonName, "authority of this test");
        Self { params, key: KeyPair::generate().expect("a key") }
    }

    /// Writes its own certificate.
    pub(super) fn write(&self, file: &Path) {
        let root = self.params.self_signed(&self.key).expect("a certificate");
        std::fs::write(file, root.pem()).expect("a file");
    }

    /// Certifies a new key under this common name.
    pub(super) fn certify(&self, name: &str, validity: Validity) -> Certificate {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        if validity == Validity::Expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
        }
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key));
        Certificate { pem: signed.expect("a certificate").pem(), key: key.serialize_pem() }
    }
}

impl Certificate {
    /// Writes it and its key, to two files or to one.
    pub(super) fn write(&self, certificate_file: &Path, key_file: &Path) {
        if certificate_file == key_file {
            std::fs::write(key_file, [self.key.as_str(), &self.pem].concat()).expect("a file");
        } else {
            std::fs::write(certificate_file, &self.pem).expect("a file");
            std::fs::write(key_file, &self.key).expect("a file");
        }
    }
}
