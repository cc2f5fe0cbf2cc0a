//! Which addresses may be dialled.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Says of an address whether it may be dialled: whoever writes an address into a link's settings must not reach with it
/// what only this machine reaches. A name is judged by the very addresses that are dialled then.
#[derive(Clone)]
pub struct Guard(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>);

impl Guard {
    pub fn new(allows: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Guard(Arc::new(allows))
    }

    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        (self.0)(ip)
    }
}

impl PartialEq for Guard {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Guard {}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard(..)")
    }
}
