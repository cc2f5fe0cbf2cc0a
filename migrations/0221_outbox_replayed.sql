-- Whether AACC said it in a transcript after a resume, and not as it was written.
SET LOCAL lock_timeout = '2s';
ALTER TABLE outbox ADD COLUMN replayed boolean NOT NULL DEFAULT false;
