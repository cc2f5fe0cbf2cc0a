-- What a waiting text is: a customer's words, a keyword of consent, or our note to the agent.
SET LOCAL lock_timeout = '2s';
ALTER TABLE inbox ADD COLUMN kind text NOT NULL DEFAULT 'text' CHECK (kind IN ('text', 'stop', 'start', 'help', 'note'));
