//! Where what is done comes from: the address of a request, and whoever has sent it. It goes with the task that answers the
//! request, so that no line of the audit log can forget it.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::audit::By;

tokio::task_local! {
    static ORIGIN: Arc<Origin>;
}

/// Bits of an IPv6 address that one network has: whoever has one address has all of its network.
const NETWORK_BITS: u32 = 64;

/// Where a request comes from.
#[derive(Debug)]
pub struct Origin {
    address: IpAddr,
    by: Mutex<Option<By>>,
    is_refused: AtomicBool,
}

impl Origin {
    /// A request from this address, of which nobody knows yet who has sent it.
    pub fn new(address: IpAddr) -> Self {
        Self { address, by: Mutex::default(), is_refused: AtomicBool::new(false) }
    }

    /// Whoever has sent it, if that is known.
    pub fn by(&self) -> Option<By> {
        self.by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether something was asked for that is outside of what they may see: the answer does not say so.
    pub fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }
}

/// Does something that comes from there.
pub async fn within<T>(origin: Arc<Origin>, work: impl Future<Output = T>) -> T {
    ORIGIN.scope(origin, work).await
}

/// Where this very task comes from, to be carried into one of its own.
#[derive(Debug)]
pub struct Carried(Option<Arc<Origin>>);

impl Carried {
    /// From this task.
    pub fn here() -> Self {
        Self(ORIGIN.try_with(Clone::clone).ok())
    }

    /// Does something that comes from there.
    pub async fn on<T>(self, work: impl Future<Output = T>) -> T {
        match self.0 {
            Some(origin) => within(origin, work).await,
            None => work.await,
        }
    }
}

/// The address that this comes from; none on the server's own command line.
pub fn address() -> Option<IpAddr> {
    ORIGIN.try_with(|origin| origin.address).ok()
}

/// Notes who has sent the request.
pub fn met(by: By) {
    let keep = |origin: &Arc<Origin>| *origin.by.lock().unwrap_or_else(PoisonError::into_inner) = Some(by);
    // Nobody has, where there is no request.
    let _ = ORIGIN.try_with(keep);
}

/// Notes that it asks for something outside of what its sender may see.
pub fn refused() {
    let _ = ORIGIN.try_with(|origin| origin.is_refused.store(true, Ordering::Relaxed));
}

/// The network of an address, as far as one subscriber has it: limits are by network.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let rest = u128::BITS - NETWORK_BITS;
            Ipv6Addr::from_bits(address.to_bits() >> rest << rest).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_of_a_network_are_one() {
        for (address, expected) in [
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
            ("203.0.113.9", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(network(address.parse().expect("an address")).to_string(), expected);
        }
    }
}
