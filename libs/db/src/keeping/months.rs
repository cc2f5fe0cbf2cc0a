//! Months of texts come and go by themselves.

use crate::{DbError, Operator};

impl Operator<'_> {
    /// Makes the months of texts from last one to `ahead` after this one, where they are missing. Returns how many were made.
    pub async fn keep_months(&self, ahead: u32) -> Result<i32, DbError> {
        let made = sqlx::query_scalar("SELECT keep_months($1)")
            .bind(i32::try_from(ahead).unwrap_or(i32::MAX))
            .fetch_one(self.pool())
            .await?;
        Ok(made)
    }

    /// Drops the oldest month that has been over for long and is empty. Returns its name.
    pub async fn drop_empty_month(&self) -> Result<Option<String>, DbError> {
        let dropped = sqlx::query_scalar("SELECT drop_empty_month()")
            .fetch_one(self.pool())
            .await?;
        Ok(dropped)
    }
}
