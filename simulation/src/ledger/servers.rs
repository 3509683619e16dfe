//! Which mail server a service uses, and when.

use super::Ledger;
use notification_service::{
    ServerNumber,
    simulated::{Command, DeliveryId, Gates},
};
use std::{collections::BTreeMap, time::Duration};

/// A mail server, as the present process of a service has it.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// Mails that are with it.
    with_it: BTreeMap<DeliveryId, Asked>,
}

/// A mail with a server.
#[derive(Debug)]
struct Asked {
    /// It was begun while the gate was closed, which was not open since, and the gate waits for it.
    probe: bool,
    /// It was to be taken back.
    withdrawn: bool,
}

impl Server {
    /// Whether a probe is begun beside another one, which is returned.
    fn begins(&mut self, delivery: DeliveryId, probe: bool) -> Option<DeliveryId> {
        let other = self.with_it.iter().find(|(_, asked)| probe && asked.probe).map(|(other, _)| *other);
        self.with_it.insert(delivery, Asked { probe, withdrawn: false });
        other
    }

    /// The gate is open and waits for no probe; with all gates closed it does not wait for one that was taken back.
    fn waits_for_no(&mut self, which: impl Fn(&Asked) -> bool) {
        self.with_it.values_mut().filter(|asked| which(asked)).for_each(|asked| asked.probe = false);
    }
}

impl Ledger {
    /// The state machine has taken an input in: how its gates are now, and what it commands.
    pub(crate) fn gates(&mut self, service: usize, gates: &Gates, commands: &[Command], now: Duration) {
        let all_closed = gates.all_closed_by().is_some();
        let servers = &mut self.known[service].servers;
        let mut two_probes = None;
        for number in ServerNumber::ALL {
            let is_closed = gates.closed_by(number).is_some();
            servers[number.index()].waits_for_no(|it| !is_closed || (all_closed && it.withdrawn));
        }
        for command in commands {
            match command {
                Command::Start { delivery, server: number, .. } => {
                    let is_closed = gates.closed_by(*number).is_some();
                    if let Some(other) = servers[number.index()].begins(*delivery, is_closed) {
                        two_probes = Some((*number, *delivery, other));
                    }
                }
                Command::Withdraw { server: number, .. } => {
                    let server = &mut servers[number.index()];
                    server.with_it.values_mut().for_each(|asked| asked.withdrawn = true);
                    server.waits_for_no(|_| all_closed);
                }
                _ => {}
            }
        }
        if let Some((number, delivery, other)) = two_probes {
            let detail = format!("service {service}, server {number}: {delivery:?} beside {other:?}");
            self.breaks("one probe at a time while the gate is closed", now, detail);
        }
    }

    /// A mail is no longer with its server.
    pub(super) fn ended_with_server(&mut self, service: usize, delivery: DeliveryId) {
        for server in &mut self.known[service].servers {
            server.with_it.remove(&delivery);
        }
    }
}
