//! The command `mails`: checks, shows and sends the mails before anybody else sees them.
//!
//! It needs neither Kafka nor secrets: the codes and links of its samples work nowhere.

use crate::{
    config,
    email::{self, Email, Kind, Letterhead, Mails},
    mailer::{Mailer, SendError, ServerFailure, SmtpConfig},
    sender::Sender,
    server_number::ServerNumber,
};
use anyhow::{Context, anyhow, bail};
use clap::Subcommand;
use contract::{code_secrets::CodeSecrets, email_address::EmailAddress, locale::Locale};
use jiff::Timestamp;
use runtime::{env::Env, texts_watch};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use texts::{Faults, Folder, Language, Settings, Texts};
use tokio_util::sync::CancellationToken;

mod preview;
mod sample;

use sample::Person;

/// What to do with the mails.
#[derive(Debug, Subcommand)]
pub enum MailsCommand {
    /// Checks a folder of texts, also what the user service reads: prints a line for each fault, and for what is allowed and perhaps not meant. Ends with 1 if
    /// the folder can't be used.
    Check {
        /// The folder.
        folder: PathBuf,
    },
    /// Writes every mail in every language as .html, .txt and .eml, with an index.html that shows them side by side.
    Preview {
        /// Where to write, outside of the folder of texts; made if it is not there.
        #[arg(long)]
        out: PathBuf,
        /// The folder of texts, instead of `TEXTS_DIR`.
        #[arg(long)]
        texts: Option<PathBuf>,
    },
    /// Sends a sample of each mail through a configured mail server.
    Send {
        /// To whom.
        address: String,
        /// In which language; all of them without it.
        #[arg(long)]
        language: Option<String>,
        /// The folder of texts, instead of `TEXTS_DIR`.
        #[arg(long)]
        texts: Option<PathBuf>,
        /// The number of the mail server: 2 means `SMTP_2_HOST`.
        #[arg(long, default_value = "1", value_parser = ServerNumber::parse)]
        server: ServerNumber,
    },
}

/// A key that is no secret.
const SAMPLE_SECRET: &str = "sample:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Runs the command. What it has to say goes to `say`.
///
/// # Errors
/// `EnvError` when the texts or the environment can't be used; another error when the work failed.
pub async fn run(command: MailsCommand, mut env: Env, say: &mut impl io::Write) -> anyhow::Result<()> {
    match command {
        MailsCommand::Check { folder } => check(&folder, env, say)?,
        MailsCommand::Preview { out, texts } => {
            let letterhead = letterhead(&mut env, texts);
            let letterhead = env.finish(|| letterhead)?;
            if let Some(texts) = letterhead.mails.folder().filter(|texts| preview::lies_in(&out, texts)) {
                bail!(
                    "can't write to {}: it is in the folder of texts {}, which must have no other files; choose another folder",
                    out.display(),
                    texts.display()
                );
            }
            let mails = samples(&letterhead, None, &Person::example())?;
            preview::write(&out, &mails).with_context(|| format!("can't write to {}", out.display()))?;
            writeln!(say, "Wrote {} mails. Open {}", mails.len(), out.join("index.html").display())?;
        }
        MailsCommand::Send { address, language, texts, server } => {
            let to = EmailAddress::parse(&address).map_err(|error| anyhow!("the address {error}"))?;
            let letterhead = letterhead(&mut env, texts);
            let hello = letterhead.as_ref().map_or("", |it| it.sender.from.email.domain());
            let smtp = config::smtp::from_env(&mut env, hello).into_iter().nth(server.index());
            if smtp.is_none() {
                let host = if server == ServerNumber::ALL[1] { "SMTP_2_HOST" } else { "SMTP_3_HOST" };
                env.problem(host, format!("expected with --server {server}: there is no such server"));
            }
            let (letterhead, smtp) = env.finish(|| letterhead.zip(smtp))?;
            let mails = samples(&letterhead, language.as_deref(), &Person::at(to))?;
            send(smtp, server, &mails, say).await?;
        }
    }
    Ok(())
}

fn check(folder: &Path, mut env: Env, say: &mut impl io::Write) -> anyhow::Result<()> {
    let public_url = config::public_url(&mut env);
    let settings = Settings { mail_has_link: texts_watch::mail_has_link(&mut env) };
    env.finish(|| Some(()))?;
    let (folder, mut faults) = (Folder::read(folder), Faults::default());
    let texts = Texts::read(&folder, settings, &mut faults);
    Mails::build(&texts, &folder, &public_url, &mut faults);
    // The user service reads it. One command is to check the whole folder.
    folder.page_style(&mut faults);
    match faults.finish() {
        Ok(notes) => {
            for note in notes {
                writeln!(say, "note: {note}")?;
            }
            writeln!(
                say,
                "The folder can be used. There are mails in {} languages.",
                texts.languages().len()
            )?;
            Ok(())
        }
        Err(faulty) => {
            for fault in faulty.faults() {
                writeln!(say, "{fault}")?;
            }
            bail!("the folder can't be used; its faults are on standard output");
        }
    }
}

/// A rendered sample.
struct Sample {
    kind: Kind,
    language: String,
    language_name: String,
    direction: &'static str,
    subject: String,
    text: String,
    html: String,
    email: Email,
}

fn letterhead(env: &mut Env, texts: Option<PathBuf>) -> Option<Letterhead> {
    if let Some(folder) = texts {
        match folder.to_str() {
            Some(folder) => env.set("TEXTS_DIR", folder),
            None => env.problem("TEXTS_DIR", "expected a folder whose name is UTF-8"),
        }
    }
    let sender = Sender::from_env(env)?;
    let public_url = config::public_url(env);
    let link = public_url.clone();
    let mails =
        texts_watch::from_env(env, move |texts, folder, faults| Mails::build(texts, folder, &link, faults));
    let secrets = CodeSecrets::parse(SAMPLE_SECRET).ok()?;
    Some(Letterhead { sender, public_url, secrets: secrets.into(), mails: mails? })
}

/// Every mail, in one language or in all.
fn samples(letterhead: &Letterhead, language: Option<&str>, person: &Person) -> anyhow::Result<Vec<Sample>> {
    let (mails, now) = (letterhead.mails.now(), Timestamp::now());
    let wanted: Vec<_> = mails
        .languages()
        .filter(|known| language.is_none_or(|tag| known.tag().eq_ignore_ascii_case(tag)))
        .collect();
    if wanted.is_empty() {
        let known: Vec<_> = mails.languages().map(Language::tag).collect();
        bail!("there are no mails in {}; expected one of {}", language.unwrap_or_default(), known.join(", "));
    }
    let mut samples = Vec::new();
    for language in wanted {
        let locale = Locale::parse(language.tag())?;
        for kind in Kind::ALL {
            let event = sample::event(kind, person, &locale, now)?;
            let (subject, text, html) = email::sample(&event, letterhead, now)?;
            samples.push(Sample {
                kind,
                language: language.tag().to_owned(),
                language_name: language.name().to_owned(),
                direction: language.direction().as_str(),
                subject,
                text,
                html,
                email: email::write(&event, Some(sample::trace()), letterhead, now)?,
            });
        }
    }
    Ok(samples)
}

async fn send(
    smtp: SmtpConfig,
    server: ServerNumber,
    samples: &[Sample],
    say: &mut impl io::Write,
) -> anyhow::Result<()> {
    let mailer = Mailer::new(smtp)?;
    for Sample { kind, language, email, .. } in samples {
        deliver(&mailer, server, email)
            .await
            .with_context(|| format!("{} in {language} was not sent", kind.name()))?;
        writeln!(say, "sent {} in {language}", kind.name())?;
    }
    mailer.close().await;
    Ok(())
}

async fn deliver(mailer: &Arc<Mailer>, server: ServerNumber, email: &Email) -> anyhow::Result<()> {
    let unusable = |failure: ServerFailure| {
        anyhow!("the mail server can't be used: {}", server.naming(&failure.to_string()))
    };
    let mut session = mailer.session().await.map_err(unusable)?;
    loop {
        match session.send(email, &CancellationToken::new()).await {
            Ok(_) => return Ok(()),
            Err(SendError::NextSession | SendError::Recalled) => {
                session = mailer.next_session().await.map_err(unusable)?;
            }
            Err(SendError::Server(failure) | SendError::Unwelcome(failure)) => {
                return Err(unusable(failure));
            }
            Err(SendError::Refused(refusal)) => match refusal.status {
                Some(status) => bail!("the mail server refused it with {status}"),
                None => bail!("the mail server lacks SMTPUTF8, which this address needs"),
            },
        }
    }
}
