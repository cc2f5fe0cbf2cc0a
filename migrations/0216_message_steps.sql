-- What became of a text, step by step: each state that it came to after its first, and each attempt. [milliseconds, state, attempts, code]
-- No text is in it, and no number. A text has three or four steps; of one that has more than a hundred the oldest are forgotten.
SET LOCAL lock_timeout = '2s';
ALTER TABLE message ADD COLUMN steps jsonb NOT NULL DEFAULT '[]';
CREATE FUNCTION message_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF jsonb_array_length(NEW.steps) >= 100 THEN NEW.steps := NEW.steps - 0; END IF;
  NEW.steps := NEW.steps || jsonb_build_array(
    jsonb_build_array((extract(epoch FROM NEW.updated_at) * 1000)::bigint, NEW.state, NEW.attempts, NEW.error_code));
  RETURN NEW;
END $$;
CREATE TRIGGER steps BEFORE UPDATE OF state, attempts ON message FOR EACH ROW
  WHEN (OLD.state <> NEW.state OR OLD.attempts <> NEW.attempts) EXECUTE FUNCTION message_step();
