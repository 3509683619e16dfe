//! The variables of each mail server: the first server's, and the same with the number of a further one in their names.

use crate::server_number::ServerNumber;
use runtime::env::Env;

/// The names of one server's variables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variables {
    pub(super) host: &'static str,
    pub(super) port: &'static str,
    pub(super) encryption: &'static str,
    pub(super) ca_file: &'static str,
    pub(super) hello_name: &'static str,
    pub(super) certificate_file: &'static str,
    pub(super) key_file: &'static str,
    pub(super) username: &'static str,
    pub(super) password: &'static str,
    pub(super) password_file: &'static str,
    pub(super) token_file: &'static str,
    pub(super) auth: &'static str,
    pub(super) timeout: &'static str,
    pub(super) reply_timeout: &'static str,
    pub(super) final_timeout: &'static str,
    pub(super) connections: &'static str,
    pub(super) max_rate: &'static str,
}

macro_rules! variables {
    ($prefix:literal) => {
        Variables {
            host: concat!($prefix, "HOST"),
            port: concat!($prefix, "PORT"),
            encryption: concat!($prefix, "ENCRYPTION"),
            ca_file: concat!($prefix, "CA_FILE"),
            hello_name: concat!($prefix, "HELLO_NAME"),
            certificate_file: concat!($prefix, "CERTIFICATE_FILE"),
            key_file: concat!($prefix, "KEY_FILE"),
            username: concat!($prefix, "USERNAME"),
            password: concat!($prefix, "PASSWORD"),
            password_file: concat!($prefix, "PASSWORD_FILE"),
            token_file: concat!($prefix, "TOKEN_FILE"),
            auth: concat!($prefix, "AUTH"),
            timeout: concat!($prefix, "TIMEOUT"),
            reply_timeout: concat!($prefix, "REPLY_TIMEOUT"),
            final_timeout: concat!($prefix, "FINAL_TIMEOUT"),
            connections: concat!($prefix, "CONNECTIONS"),
            max_rate: concat!($prefix, "MAX_RATE"),
        }
    };
}

const OF_SERVERS: [Variables; ServerNumber::MOST] =
    [variables!("SMTP_"), variables!("SMTP_2_"), variables!("SMTP_3_")];

impl Variables {
    pub(super) const fn of(server: ServerNumber) -> Self {
        OF_SERVERS[server.index()]
    }

    /// All but the host's.
    fn others(&self) -> [&'static str; 16] {
        [
            self.port,
            self.encryption,
            self.ca_file,
            self.hello_name,
            self.certificate_file,
            self.key_file,
            self.username,
            self.password,
            self.password_file,
            self.token_file,
            self.auth,
            self.timeout,
            self.reply_timeout,
            self.final_timeout,
            self.connections,
            self.max_rate,
        ]
    }
}

/// The numbers of the servers that are configured. A further server has a host of its own. What is set for a server that
/// there is not would be ignored otherwise, and somebody would rely on a server that gets no mail.
pub(super) fn servers(env: &mut Env) -> Vec<ServerNumber> {
    for (wrong, detail) in [
        ("SMTP_1_HOST", "expected SMTP_HOST: the variables of the first server have no number"),
        ("SMTP_4_HOST", "expected three mail servers at most"),
    ] {
        if env.is_set(wrong) {
            env.problem(wrong, detail);
        }
    }
    let mut servers = vec![ServerNumber::FIRST];
    let mut before = "SMTP_HOST";
    for server in ServerNumber::ALL.into_iter().skip(1) {
        let variables = Variables::of(server);
        if env.is_set(variables.host) {
            if servers.len() < server.index() {
                env.problem(
                    variables.host,
                    format!("expected together with {before}: the servers are numbered without a gap"),
                );
            }
            servers.push(server);
        } else {
            let alone = variables.others().into_iter().filter(|name| env.is_set(name));
            for name in alone.collect::<Vec<_>>() {
                env.problem(
                    name,
                    format!(
                        "expected together with {}: without it there is no server {server}",
                        variables.host
                    ),
                );
            }
            // It is a variable all the same.
            let _: Option<String> = env.optional(variables.host, runtime::env::text);
        }
        before = variables.host;
    }
    servers
}
