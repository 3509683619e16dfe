//! A mail inbox for one machine: the SMTP server, a web page with the received mails, and MailHog's API.
//!
//! ```text
//!   smtp ──► parsed_mail ──► mailbox ──► web (page/, JSON for it)
//!                               └──────► mailhog (the same in another program's shape)
//! ```
//!
//! The newest [`CAPACITY`] mails are kept, in memory.

mod parsed_mail;
mod mailbox;
mod web;
mod mailhog;

use crate::{
    inbox::mailbox::Mailbox,
    smtp::{Keep, SmtpServer},
};
use actix_web::{App, HttpServer, dev::ServerHandle};
use anyhow::Context as _;
pub use mailbox::CAPACITY;
pub use parsed_mail::ParsedMail;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

/// A running inbox; both listeners are on 127.0.0.1.
#[derive(Debug)]
pub struct Inbox {
    smtp: SmtpServer,
    web: ServerHandle,
    web_address: SocketAddr,
    mailbox: Arc<Mailbox>,
}

impl Inbox {
    /// Starts both servers (port 0: any free one).
    ///
    /// # Errors
    /// A port is taken.
    pub async fn start(smtp_port: u16, web_port: u16) -> anyhow::Result<Inbox> {
        let mailbox = Arc::new(Mailbox::default());
        let smtp = SmtpServer::start_keeping(smtp_port, Keep::Nothing).await?;
        let receiving = mailbox.clone();
        smtp.on_mail(move |mail| receiving.receive(mail));

        let shared = mailbox.clone();
        let server = HttpServer::new(move || App::new().configure(|app| web::routes(app, shared.clone())))
            .workers(1)
            .disable_signals()
            .shutdown_timeout(1)
            .bind((Ipv4Addr::LOCALHOST, web_port))
            .with_context(|| format!("cannot serve the inbox on 127.0.0.1:{web_port}"))?;
        let web_address = server.addrs().first().copied().context("the inbox has no address")?;
        let server = server.run();
        let web = server.handle();
        tokio::spawn(server);
        Ok(Inbox { smtp, web, web_address, mailbox })
    }

    /// The address of the SMTP server.
    pub fn smtp_address(&self) -> SocketAddr {
        self.smtp.address()
    }

    /// The address of the page and the API.
    pub fn web_address(&self) -> SocketAddr {
        self.web_address
    }

    /// Calls `observer` with each mail on arrival, before the sender gets its answer. It must be quick.
    pub fn on_mail(&self, observer: impl Fn(&ParsedMail) + Send + Sync + 'static) {
        self.mailbox.observe(Box::new(observer));
    }

    /// The kept mails, newest first.
    pub fn mails(&self) -> Vec<Arc<ParsedMail>> {
        self.mailbox.newest_first()
    }

    /// Closes both listeners and drops all connections.
    pub async fn stop(self) {
        self.smtp.stop().await;
        self.web.stop(false).await;
    }
}
