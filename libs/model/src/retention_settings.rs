//! For how long a tenant keeps what was written, and that it was.

use crate::settings::{Check, SettingRefused};
use serde::{Deserialize, Serialize};

/// Ten years.
pub const MOST_DAYS: u32 = 3653;

/// Days after a conversation's last text; `None`: for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSettings {
    /// Then what was written goes, and that it was stays.
    pub bodies_days: Option<u32>,
    /// Then conversations go as a whole.
    pub metadata_days: Option<u32>,
}

impl RetentionSettings {
    /// Refuses what cannot be.
    pub fn check(&self) -> Result<(), SettingRefused> {
        let mut check = Check::default();
        for (field, days) in [
            ("bodies_days", self.bodies_days),
            ("metadata_days", self.metadata_days),
        ] {
            if let Some(days) = days {
                check.range(field, days, 1, MOST_DAYS);
            }
        }
        if let (Some(bodies), Some(metadata)) = (self.bodies_days, self.metadata_days)
            && bodies > metadata
        {
            check.refuse(
                "bodies_days",
                format!("is more than metadata_days, {metadata}"),
                "what was written cannot stay longer than its conversation",
            );
        }
        check.done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_before_their_conversations() {
        let check = |bodies_days, metadata_days| {
            let settings = RetentionSettings {
                bodies_days,
                metadata_days,
            };
            settings.check().map_err(|refused| refused.field)
        };
        for (bodies, metadata) in [
            (None, None),
            (Some(1), None),
            (Some(30), Some(30)),
            (None, Some(3653)),
        ] {
            assert_eq!(check(bodies, metadata), Ok(()));
        }
        assert_eq!(check(Some(0), None), Err("bodies_days".to_owned()));
        assert_eq!(check(None, Some(3654)), Err("metadata_days".to_owned()));
        assert_eq!(check(Some(31), Some(30)), Err("bodies_days".to_owned()));
    }
}
