//! The output for a person at the terminal: the addresses, and each mail on its arrival.
#![expect(clippy::print_stdout, reason = "this is the program's output, not its log")]

use crate::system::System;
use sandbox::inbox::ParsedMail;
use std::path::Path;

/// Tells where the data of earlier runs are now.
pub fn print_moved(folder: &Path, aside: &Path) {
    println!("The data of earlier runs are now in {}; {} begins anew.\n", aside.display(), folder.display());
}

/// Tells the addresses of everything.
pub fn print_welcome(system: &System, folder: &Path) {
    let (service, inbox) = (system.user_service(), system.inbox().web_address());
    println!(
        "Two-step signup is running. Register, and read the code in the inbox:

  page       http://{service}/
  inbox      http://{inbox}/
  register   curl http://{service}/api/register -d first_name=Ada -d last_name=Lovelace -d email=ada@example.com
  verify     curl http://{service}/api/verify -d id=ID -d code=CODE
  metrics    http://{admin}/metrics and http://{notification_service}/metrics
  Kafka      {kafka}, for any client; its data and the secrets are in {folder}

Ctrl-C stops it; the next run goes on where this one ended. Mails appear here as they arrive.
",
        admin = system.user_service_admin(),
        notification_service = system.notification_service(),
        kafka = system.kafka(),
        folder = folder.display(),
    );
}

/// Shows one mail.
pub fn print_mail(mail: &ParsedMail) {
    let text = mail.text.as_deref().unwrap_or("(no text part)");
    let indented: String = text.trim().lines().map(|line| format!("    {line}\n")).collect();
    println!("mail to {}: {}\n{indented}", mail.to.join(", "), mail.subject);
}
