"""Configuration from the environment, with the names and defaults of the two services where they mean the same."""

import os
from dataclasses import dataclass
from email.utils import parseaddr

# librdkafka's properties; what is not set is left to its defaults.
_KAFKA = {
    "KAFKA_BROKERS": "bootstrap.servers",
    "KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "KAFKA_SASL_USERNAME": "sasl.username",
    "KAFKA_SASL_PASSWORD": "sasl.password",
    "KAFKA_CA_FILE": "ssl.ca.location",
    "KAFKA_CERTIFICATE_FILE": "ssl.certificate.location",
    "KAFKA_KEY_FILE": "ssl.key.location",
}


@dataclass(frozen=True)
class Config:
    kafka: dict[str, str]
    verified_topic: str
    group: str
    retry_seconds: float
    smtp: tuple[str, int]
    starttls: bool
    login: tuple[str, str] | None
    mail_from: str

    @classmethod
    def from_env(cls, env=os.environ) -> "Config":
        # Before the names of all topics and groups, as in the two services.
        prefix = env.get("KAFKA_TOPIC_PREFIX", "")
        config = cls(
            kafka={"bootstrap.servers": "localhost:9092"} | {_KAFKA[name]: env[name] for name in _KAFKA if env.get(name)},
            verified_topic=f"{prefix}user_account_verified",
            group=f"{prefix}{env.get('WELCOME_GROUP') or 'welcome'}",
            retry_seconds=float(env.get("WELCOME_RETRY_SECONDS", "60")),
            smtp=(env.get("SMTP_HOST", "localhost"), int(env.get("SMTP_PORT", "1025"))),
            starttls={"none": False, "starttls": True}[env.get("SMTP_ENCRYPTION", "none")],
            login=(env["SMTP_USERNAME"], env["SMTP_PASSWORD"]) if env.get("SMTP_USERNAME") else None,
            mail_from=env.get("MAIL_FROM", "Two-step signup <no-reply@example.com>"),
        )
        if "@" not in parseaddr(config.mail_from)[1]:
            raise ValueError("MAIL_FROM: expected an address, such as Name <name@example.com>")
        return config
