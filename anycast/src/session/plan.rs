//! What a new configuration means for the neighbours there are: who goes on, who ends, who begins.

use std::net::IpAddr;

use tracing::warn;

use super::link::Link;
use super::neighbour::Neighbour;
use super::password::Password;
use crate::bgp::{Shutdown, ShutdownCause};

/// The plan of one new configuration.
pub(super) struct Plan {
    /// The neighbours of the new configuration, in its order.
    pub(super) wanted: Vec<Wanted>,
    /// Those whose sessions end, and what is said to them.
    pub(super) ending: Vec<(Neighbour, Shutdown)>,
    /// Addresses that are no neighbour's any more.
    pub(super) gone: Vec<IpAddr>,
    /// What it amounts to.
    pub(super) applied: Applied,
}

/// What a new configuration changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Neighbours that are new.
    pub added: usize,
    /// Neighbours that have gone.
    pub removed: usize,
    /// Neighbours whose sessions begin anew with other settings.
    pub changed: usize,
}

/// A neighbour that is to be.
pub(super) enum Wanted {
    /// Its session goes on, with these settings.
    GoesOn(Neighbour, config::Neighbour),
    /// It begins.
    Begins(config::Neighbour, Option<Password>),
    /// It cannot begin; why.
    Cannot(config::Neighbour, String),
}

impl Plan {
    /// Compares what is with what is to be, and reads the passwords.
    pub(super) fn new(mut present: Vec<Neighbour>, anycast: &config::Anycast) -> Self {
        let before: Vec<IpAddr> = present.iter().map(|it| it.settings.address.ip()).collect();
        let gone = before.into_iter().filter(|&ip| anycast.neighbours.iter().all(|it| it.address.ip() != ip)).collect();
        let mut plan = Self { wanted: Vec::new(), ending: Vec::new(), gone, applied: Applied::default() };
        for settings in &anycast.neighbours {
            let place = present.iter().position(|it| it.settings.name == settings.name);
            let current = place.map(|place| present.swap_remove(place));
            plan.want(current, settings);
        }
        plan.applied.removed = present.len();
        plan.ending.extend(present.into_iter().map(|it| (it, shutdown(ShutdownCause::PeerDeconfigured))));
        plan
    }

    fn want(&mut self, current: Option<Neighbour>, settings: &config::Neighbour) {
        let password = match password_of(settings, current.as_ref()) {
            Ok(password) => password,
            Err(why) => {
                self.end_changed(current);
                return self.wanted.push(Wanted::Cannot(settings.clone(), why));
            }
        };
        match current {
            Some(current) if current.goes_on_with(settings, password.as_ref()) => {
                self.wanted.push(Wanted::GoesOn(current, settings.clone()));
            }
            current => {
                self.end_changed(current);
                self.wanted.push(Wanted::Begins(settings.clone(), password));
            }
        }
    }

    /// What becomes of one that does not go on: it ends to begin anew, or is new.
    fn end_changed(&mut self, current: Option<Neighbour>) {
        match current {
            Some(current) => {
                self.applied.changed += 1;
                self.ending.push((current, shutdown(ShutdownCause::OtherConfigurationChange)));
            }
            None => self.applied.added += 1,
        }
    }
}

impl Wanted {
    /// What its connections need; nothing for one that cannot begin.
    pub(super) fn link(&self) -> Option<Link> {
        match self {
            Self::GoesOn(neighbour, _) => Some(neighbour.link()),
            Self::Begins(settings, password) => Some(Link::new(settings, password.clone())),
            Self::Cannot(..) => None,
        }
    }
}

/// Reads the password again. A file that only a privileged process could read keeps the one that was read at the start.
fn password_of(settings: &config::Neighbour, current: Option<&Neighbour>) -> Result<Option<Password>, String> {
    let Some(path) = &settings.password_file else { return Ok(None) };
    match Password::read(&settings.name, path) {
        Ok(password) => Ok(Some(password)),
        Err(error) => match current.filter(|it| it.settings.password_file.as_ref() == Some(path)) {
            Some(Neighbour { password: Some(password), .. }) => {
                warn!(neighbour = %settings.name, %error, "the password stays what it was");
                Ok(Some(password.clone()))
            }
            _ => Err(error.to_string()),
        },
    }
}

fn shutdown(cause: ShutdownCause) -> Shutdown {
    Shutdown { cause, message: String::new() }
}
