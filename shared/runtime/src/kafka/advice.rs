//! What to do when a broker and a client refuse one another. OpenSSL's and Java's own words name neither the variable nor
//! the usual cause; docs/operations.md ("When Kafka refuses a connection") has the same table.

/// Advice for a client's error text, if it is one of those.
pub(super) fn advice(error: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|words| error.contains(words));
    if has(&["certificate verify failed"]) {
        Some(
            "the broker's certificate has expired, is for another host name, or is of an authority that KAFKA_CA_FILE lacks",
        )
    } else if has(&["alert bad certificate", "alert certificate required"]) {
        Some("the broker requires a certificate: KAFKA_CERTIFICATE_FILE and KAFKA_KEY_FILE")
    } else if has(&["alert certificate unknown", "alert certificate expired", "alert unknown ca"]) {
        Some(
            "the broker refuses the certificate in KAFKA_CERTIFICATE_FILE: it has expired, or is of an authority that the broker lacks",
        )
    } else if has(&["invalid_token"]) {
        Some("the broker refuses the token in KAFKA_TOKEN_FILE: its issuer, audience, signature or time")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_its_variable_and_other_errors_get_no_advice() {
        let texts = [
            ("SSL routines::certificate verify failed: broker certificate could not", Some("KAFKA_CA_FILE")),
            ("SSL routines::sslv3 alert bad certificate: SSL alert number 42", Some("KAFKA_KEY_FILE")),
            ("SSL routines::sslv3 alert certificate unknown", Some("refuses the certificate in KAFKA_CERT")),
            ("SSL routines::tlsv1 alert unknown ca", Some("refuses the certificate in KAFKA_CERT")),
            ("SASL authentication error: {\"status\":\"invalid_token\"}", Some("KAFKA_TOKEN_FILE")),
            ("Connect to ipv4#127.0.0.1:1 failed: Connection refused", None),
        ];
        for (error, expected) in texts {
            let advice = advice(error);
            assert_eq!(advice.is_some(), expected.is_some(), "{error}");
            assert!(expected.is_none_or(|words| advice.unwrap().contains(words)), "{error}");
        }
    }
}
