//! What is alike about secrets of which a tenant has two at most, for its own programs.

use crate::answer::Failure;
use ccm_auth::secure_random;
use ccm_db::{DbError, SecretRow};
use ccm_web::Problem;
use secrecy::zeroize::Zeroizing;
use std::fmt::Display;

/// 256 random bits.
pub fn secret_bytes() -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    secure_random(&mut bytes[..]);
    bytes
}

/// The row of the one that was made, or why there is none: `what` it is, as in "webhook secret"; `remedy` for a third; `all` are those
/// that are there, asked for if one has the name.
pub async fn made<I: Display>(
    made: Result<Option<SecretRow<I>>, DbError>,
    (what, name): (&'static str, &str),
    remedy: &'static str,
    all: impl Future<Output = Result<Vec<SecretRow<I>>, DbError>>,
) -> Result<SecretRow<I>, Failure> {
    match made {
        Ok(Some(row)) => Ok(row),
        Ok(None) => Err(Problem::conflict(format!("the tenant has two {what}s already"))
            .remedy(remedy)
            .into()),
        Err(DbError::Conflict { .. }) => {
            let taken = all.await?.into_iter().find(|one| one.name == name);
            Err(Failure::exists(what, "name", taken.map(|one| one.id)))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        assert_ne!(*secret_bytes(), *secret_bytes());
    }
}
