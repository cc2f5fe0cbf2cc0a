-- What a conversation's texts wait for, for people to see; and who the customer is, as far as anybody said.
SET LOCAL lock_timeout = '2s';
ALTER TABLE conversation
  ADD COLUMN waits_for text CHECK (length(waits_for) BETWEEN 1 AND 50),
  ADD COLUMN waits_since timestamptz,
  -- name, email, language, free context: what a deflection or a screen pop knows.
  ADD COLUMN about jsonb NOT NULL DEFAULT '{}';
