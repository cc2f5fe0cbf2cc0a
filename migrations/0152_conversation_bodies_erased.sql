-- Since when what was written in a conversation is gone: its texts stay, without their words.
SET LOCAL lock_timeout = '2s';
ALTER TABLE conversation ADD COLUMN bodies_erased_at timestamptz;
