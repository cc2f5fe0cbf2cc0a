-- For which calendar, and whose agents, a conversation's texts are kept after hours: its customer has been told.
SET LOCAL lock_timeout = '2s';
ALTER TABLE conversation ADD COLUMN held jsonb;
