//! The service's part in publishing a copy that was held.

use crate::attempt::{Outcome, Report};
use crate::service::Service;

impl Service {
    /// A copy that was held is published, or could not be.
    pub(crate) fn released(&mut self, zone: u64, mut report: Report) {
        let Some(entry) = self.entries.get_mut(&zone) else {
            return;
        };
        match &report.outcome {
            Ok(Outcome::Updated { zone: copy, .. }) => {
                tracing::info!(zone = %entry.settings.name, serial = copy.serial(), "the copy that was held is served");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(zone = %entry.settings.name, %error, "the copy that was held is not served; it is fetched anew");
            }
        }
        let event = entry.released(&report);
        self.conclude(zone, event, &mut report);
    }
}
