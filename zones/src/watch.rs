//! Who has to know what is published before anybody can see it.

use std::sync::Arc;

use wire::NameRef;

use crate::{ZoneSlot, ZoneState};

/// Is told of what is about to be published, and publishes it: by calling `swap`, once.
///
/// Several threads may be at it at once, but never for the same zone.
pub trait Watch: std::fmt::Debug + Send + Sync {
    /// The next state of a zone.
    fn publish_state(&self, apex: NameRef<'_>, before: &ZoneState, next: &ZoneState, swap: &mut dyn FnMut());

    /// The next table of zones; these are in it that were not before, each in the state that it is in.
    fn publish_table(&self, new: &[&Arc<ZoneSlot>], swap: &mut dyn FnMut());
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, OnceLock, Weak};

    use wire::Name;

    use super::*;
    use crate::testing::zone_of;
    use crate::{Zone, Zones};

    /// Writes down what is published, and what was there to be seen just before.
    #[derive(Debug, Default)]
    struct Diary {
        zones: OnceLock<Weak<Zones>>,
        lines: Mutex<Vec<String>>,
    }

    impl Diary {
        fn seen(&self) -> Arc<Zones> {
            self.zones.get().and_then(Weak::upgrade).unwrap()
        }

        fn write(&self, line: String) {
            self.lines.lock().unwrap().push(line);
        }

        fn take(&self) -> Vec<String> {
            std::mem::take(&mut self.lines.lock().unwrap())
        }
    }

    fn serial(state: &ZoneState) -> u32 {
        match state {
            ZoneState::Serving(zone) => zone.serial(),
            _ => 0,
        }
    }

    impl Watch for Diary {
        fn publish_state(&self, apex: NameRef<'_>, before: &ZoneState, next: &ZoneState, swap: &mut dyn FnMut()) {
            let slot = self.seen().get(apex);
            let seen = || slot.as_ref().map(|slot| serial(&slot.state()));
            let was = seen();
            swap();
            self.write(format!("{apex} {}>{} seen {was:?}>{:?}", serial(before), serial(next), seen()));
        }

        fn publish_table(&self, new: &[&Arc<ZoneSlot>], swap: &mut dyn FnMut()) {
            let seen = || self.seen().load().slots().len();
            let was = seen();
            swap();
            let new: Vec<_> = new.iter().map(|slot| format!("{} {}", slot.apex(), serial(&slot.state()))).collect();
            self.write(format!("{new:?} seen {was}>{}", seen()));
        }
    }

    fn watched() -> (Arc<Zones>, Arc<Diary>) {
        let diary = Arc::new(Diary::default());
        let zones = Arc::new(Zones::new().watched_by(Arc::clone(&diary) as _));
        diary.zones.set(Arc::downgrade(&zones)).unwrap();
        (zones, diary)
    }

    fn slot(apex: &str) -> Arc<ZoneSlot> {
        Arc::new(ZoneSlot::new(apex.parse::<Name>().unwrap()))
    }

    fn version(serial: u32) -> ZoneState {
        let soa = format!("ns.example. root.example. {serial} 3600 600 86400 300");
        let zone: Zone = zone_of("example.", &[("example.", "SOA", &soa)]);
        ZoneState::Serving(Arc::new(zone))
    }

    #[test]
    fn nothing_is_seen_before_who_watches_publishes_it() {
        let (zones, diary) = watched();
        let example = slot("example.");
        // Nobody watches what is in no table.
        example.publish(version(1));
        assert!(diary.take().is_empty());
        zones.insert(&example);
        example.publish(version(2));
        example.publish(ZoneState::Expired(None));
        assert_eq!(
            diary.take(),
            ["[\"example. 1\"] seen 0>1", "example. 1>2 seen Some(1)>Some(2)", "example. 2>0 seen Some(2)>Some(0)",]
        );
    }

    #[test]
    fn of_a_table_what_was_not_in_it_is_new() {
        let (zones, diary) = watched();
        let (example, other) = (slot("example."), slot("other."));
        zones.insert(&example);
        zones.replace(vec![Arc::clone(&example), Arc::clone(&other)]);
        zones.insert(&other);
        zones.remove(example.apex());
        zones.insert(&example);
        assert_eq!(
            diary.take(),
            ["[\"example. 0\"] seen 0>1", "[\"other. 0\"] seen 1>2", "[] seen 2>2", "[\"example. 0\"] seen 1>2",]
        );
    }
}
