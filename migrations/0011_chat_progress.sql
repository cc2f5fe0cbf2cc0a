-- What another pod needs to go on with a chat where this one was, and what AACC may still count.
SET LOCAL lock_timeout = '2s';
ALTER TABLE chat
  -- As AACC was asked.
  ADD COLUMN skillset text,
  -- What the customer has been told while waiting: written and read by the connector.
  ADD COLUMN told jsonb NOT NULL DEFAULT '{}',
  -- Until when AACC may count a chat that is over for us: its session was lost and nobody could close it.
  ADD COLUMN counts_until timestamptz;
