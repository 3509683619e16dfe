//! What to do when a broker and a client refuse one another. The words of OpenSSL, librdkafka and brokers name neither the
//! variable nor the usual cause. docs/operations.md ("When Kafka refuses a connection") has the same rows; a test compares them.

/// Words of an error, each row with its advice. The first row with words that occur in the error holds.
const TABLE: [(&[&str], &str); 9] = [
    (
        &["certificate verify failed"],
        "the broker's certificate has expired, is for another host name, or is of an authority that KAFKA_CA_FILE lacks",
    ),
    (
        &["alert bad certificate", "alert certificate required"],
        "the broker requires a certificate: KAFKA_CERTIFICATE_FILE and KAFKA_KEY_FILE",
    ),
    (
        &["alert certificate unknown", "alert certificate expired", "alert unknown ca"],
        "the broker refuses the certificate in KAFKA_CERTIFICATE_FILE: it has expired, or is of an authority that the broker lacks",
    ),
    (
        &["connecting to a PLAINTEXT broker listener"],
        "KAFKA_SECURITY_PROTOCOL is not that of the broker's listener",
    ),
    (&["Unsupported SASL mechanism"], "the broker does not know the mechanism in KAFKA_SASL_MECHANISM"),
    (
        &["invalid_token"],
        "the broker refuses the token in KAFKA_TOKEN_FILE: its issuer, audience, signature or time",
    ),
    (
        &["SASL authentication error"],
        "the broker refuses the login: KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD or their mechanism",
    ),
    (
        &["Cluster authorization failed"],
        "the service may write to no topic at all: docs/operations.md (Rights in Kafka) has the rights that it needs",
    ),
    (
        &["authorization failed"],
        "a right is missing: docs/operations.md (Rights in Kafka) has the rights that each service needs",
    ),
];

/// Advice for a client's error text, if it is one of those.
pub(super) fn advice(error: &str) -> Option<&'static str> {
    let row = TABLE.iter().find(|(words, _)| words.iter().any(|words| error.contains(words)));
    row.map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/operations.md");

    /// The words of each row of the page's table, except what `token` says by itself.
    fn rows_of_the_page() -> Vec<(Vec<&'static str>, &'static str)> {
        let section = PAGE.split("\n## ").find(|section| section.starts_with("When Kafka refuses")).unwrap();
        let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
        rows.take_while(|line| line.starts_with('|'))
            .filter(|row| !row.starts_with("| `KAFKA_TOKEN_FILE: "))
            .map(|row| {
                let (words, rest) = row.trim_start_matches("| ").split_once(" | ").unwrap();
                (words.split(", ").map(|words| words.trim_matches('`')).collect(), rest)
            })
            .collect()
    }

    #[test]
    fn the_page_has_the_same_rows_and_their_variables() {
        let rows = rows_of_the_page();
        let words: Vec<_> = rows.iter().map(|(words, _)| words.clone()).collect();
        assert_eq!(words, TABLE.map(|(words, _)| words.to_vec()));
        for ((_, advice), (_, rest)) in TABLE.iter().zip(&rows) {
            for variable in advice.split([' ', ',', ':']).filter(|word| word.starts_with("KAFKA_")) {
                assert!(rest.contains(variable), "{variable} is not in {rest}");
            }
        }
    }

    #[test]
    fn each_refusal_names_its_variable_and_other_errors_get_no_advice() {
        let texts = [
            ("SSL routines::certificate verify failed: broker certificate could not", "KAFKA_CA_FILE"),
            ("SSL routines::sslv3 alert bad certificate: SSL alert number 42", "KAFKA_KEY_FILE"),
            ("SSL routines::sslv3 alert certificate unknown", "refuses the certificate in KAFKA_CERT"),
            ("SSL routines::tlsv1 alert unknown ca", "refuses the certificate in KAFKA_CERT"),
            ("SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?", "PROTOCOL"),
            (
                "handshake failed: Broker: Unsupported SASL mechanism: broker's supported",
                "KAFKA_SASL_MECHANISM",
            ),
            ("SASL authentication error: {\"status\":\"invalid_token\"}", "KAFKA_TOKEN_FILE"),
            ("SASL authentication error: Authentication failed during", "KAFKA_SASL_PASSWORD"),
            ("idempotence PID from broker: Broker: Cluster authorization failed", "no topic at all"),
            ("Broker: Group authorization failed", "a right is missing"),
        ];
        for (error, expected) in texts {
            assert!(advice(error).is_some_and(|advice| advice.contains(expected)), "{error}");
        }
        assert_eq!(advice("Connect to ipv4#127.0.0.1:1 failed: Connection refused"), None);
    }
}
