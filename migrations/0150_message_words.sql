-- The words of a text as the index keeps them: lower-case, each behind its tenant's mark. A search walks through the words of its
-- own tenant and of nobody else, however many texts the others have. Two tenants with the same mark (48 random bits of the id) would
-- cost each other time, and nothing else.
-- What the parser would take for more than a word (signs, addresses, files, tags) is taken apart first: `12345` finds `order-12345`.
-- Each text passes here when it is stored, so nothing may make it fail: a word is cut long before Postgres would refuse it.
CREATE FUNCTION message_words(tenant uuid, body text) RETURNS tsvector
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000
  RETURN array_to_tsvector(ARRAY(
    SELECT right(tenant::text, 12) || left(lexeme, 64)
    FROM unnest(to_tsvector('pg_catalog.simple'::regconfig,
                            translate(body, '-/.@+_~&<', '         ')))));

-- Texts of the tenant with words that begin like each of `beginnings`, and with each word of `words`. NULL: there is no word in them.
CREATE FUNCTION message_query(tenant uuid, beginnings text[], words text[]) RETURNS tsquery
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (
    SELECT string_agg('''' || replace(replace(asked.word, '\', '\\'), '''', '''''') || '''' || asked.mark, ' & ')::tsquery
    FROM (SELECT (unnest(message_words(tenant, b))).lexeme AS word, ':*' AS mark FROM unnest(beginnings) AS b
          UNION ALL
          SELECT (unnest(message_words(tenant, w))).lexeme, '' FROM unnest(words) AS w) AS asked);

-- Ids of the transaction's tenant's texts with these words, from `since` (included) to `until` (not), below `before`, the newest first.
--
-- Under a policy `@@` could not use its index: it is not leakproof, and each row's policy would be asked first. This runs with the
-- owner's rights, who reads months directly, and binds the tenant itself: exactly one, or nothing. It gives out ids alone; the texts are
-- read under the policy by whoever calls it.
CREATE FUNCTION search_messages(beginnings text[], words text[], since timestamptz, until timestamptz, before uuid, most integer)
  RETURNS SETOF uuid
  LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = public, pg_temp
  -- Never the whole of a month, whatever the planner thinks of a word that it knows nothing about.
  SET enable_seqscan = off
  SET enable_indexscan = off
AS $$
DECLARE
  tenants uuid[] := app_tenants();
  asked tsquery;
  month timestamp := date_trunc('month', until AT TIME ZONE 'UTC');
  part regclass;
  low uuid;
  high uuid;
  given integer := 0;
  now_given integer;
BEGIN
  IF cardinality(tenants) IS DISTINCT FROM 1 OR tenants[1] IS NULL THEN
    RAISE EXCEPTION 'texts of one tenant are searched at a time' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF since IS NULL OR until IS NULL OR before IS NULL OR most NOT BETWEEN 1 AND 1000 OR until - since > interval '400 days' THEN
    RAISE EXCEPTION 'a search has a period of 400 days at most and 1 to 1000 answers' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  asked := message_query(tenants[1], beginnings, words);
  IF asked IS NULL THEN
    RETURN;
  END IF;
  WHILE given < most AND (month + interval '1 month') AT TIME ZONE 'UTC' > since LOOP
    low := uuid_v7_floor(greatest(since, month AT TIME ZONE 'UTC'));
    high := least(uuid_v7_floor(least(until, (month + interval '1 month') AT TIME ZONE 'UTC')), before);
    -- What has no month of its own is in the default partition.
    part := coalesce(to_regclass('message_' || to_char(month, 'YYYYMM')), 'message_other'::regclass);
    IF low < high THEN
      RETURN QUERY EXECUTE format(
        'WITH found AS MATERIALIZED (
           SELECT id FROM %s WHERE tenant_id = $1 AND message_words(tenant_id, body) @@ $2 AND id >= $3 AND id < $4)
         SELECT id FROM found ORDER BY id DESC LIMIT $5', part)
        USING tenants[1], asked, low, high, most - given;
      GET DIAGNOSTICS now_given = ROW_COUNT;
      given := given + now_given;
    END IF;
    month := month - interval '1 month';
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION search_messages(text[], text[], timestamptz, timestamptz, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_messages(text[], text[], timestamptz, timestamptz, uuid, integer) TO ccm_app;
