//! Nobody alone takes all places: how many connections each address has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One address may have this share of all connections.
const SHARE: usize = 4;

/// The connections of each address.
#[derive(Clone)]
pub(super) struct Crowd {
    most: usize,
    places: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's place; it is free again when this is gone.
pub(super) struct Place {
    crowd: Crowd,
    whose: IpAddr,
}

impl Crowd {
    /// Of so many connections in all.
    pub(super) fn of(connections: usize) -> Self {
        Self { most: connections.div_ceil(SHARE), places: Arc::default() }
    }

    /// A place, unless this address has its share already.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Place> {
        let whose = household(address);
        let mut places = self.lock();
        let taken = places.entry(whose).or_default();
        if *taken >= self.most {
            return None;
        }
        *taken += 1;
        Some(Place { crowd: self.clone(), whose })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nothing panics while it holds the lock, and a count is whole at any time.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Entry::Occupied(mut taken) = self.crowd.lock().entry(self.whose) {
            *taken.get_mut() -= 1;
            if *taken.get() == 0 {
                taken.remove();
            }
        }
    }
}

/// Who has one IPv6 address has the 2⁶⁴ others of its network.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_its_share_and_no_more_until_a_place_is_free() {
        let crowd = Crowd::of(8);
        let enter = |address: &str| crowd.enter(address.parse().unwrap());
        let mut inside = vec![enter("198.51.100.7"), enter("::ffff:198.51.100.7")];
        assert!(inside.iter().all(Option::is_some));
        assert!(enter("198.51.100.7").is_none());
        inside.extend([enter("198.51.100.8"), enter("2001:db8::1"), enter("2001:db8::2")]);
        assert!(inside.iter().all(Option::is_some));
        assert!(enter("2001:db8::3").is_none() && enter("2001:db8:0:1::3").is_some());
        inside.remove(0);
        assert!(enter("198.51.100.7").is_some());
        inside.clear();
        assert!(crowd.lock().is_empty(), "who has gone is forgotten");
    }
}
