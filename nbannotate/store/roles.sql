-- Who may do what in a store of nbannotate on PostgreSQL, guarded by the server itself.
--
--   nbannotate_annotator  reads all, and changes the labels under its own name
--   nbannotate_reviewer   also changes the labels of others
--   the owner             of the tables does everything; the scheme, the assignment, what is past
--                         and whose name is whose are the owner's alone
--
-- People get a role with GRANT nbannotate_annotator TO login, and lose it with REVOKE. This may be
-- run again at any time, by the owner of the tables or a superuser, in the schema of the tables and
-- in one transaction (psql --single-transaction).

SET LOCAL client_min_messages = error;  -- nothing of what is not there yet

DO $$
DECLARE
    found text;
BEGIN
    SELECT polroles[1]::regrole::text INTO found FROM pg_policy
        WHERE polrelid = 'labels'::regclass AND polname = 'annotators_change';
    IF found <> 'nbannotate_annotator' THEN
        RAISE EXCEPTION 'the store is guarded by the role % already; give the prefix of that', found;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'nbannotate_annotator') THEN
        CREATE ROLE nbannotate_annotator NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'nbannotate_reviewer') THEN
        CREATE ROLE nbannotate_reviewer NOLOGIN;
    END IF;
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO nbannotate_annotator, nbannotate_reviewer',
        current_database()
    );
    EXECUTE format(
        'GRANT USAGE ON SCHEMA %I TO nbannotate_annotator, nbannotate_reviewer',
        current_schema()
    );
END
$$;

-- Whose browser sent which message. The column is the guard's own: nbannotate does not set it.
ALTER TABLE clients ADD COLUMN IF NOT EXISTS login text;
ALTER TABLE clients ALTER COLUMN login SET DEFAULT session_user;

-- What a role may do to a table at all.

REVOKE ALL ON meta, labels, images, history, clients, tallies, queue, leases, members
    FROM PUBLIC, nbannotate_annotator, nbannotate_reviewer;
REVOKE ALL ON SEQUENCE history_seq_seq FROM PUBLIC, nbannotate_annotator, nbannotate_reviewer;

GRANT SELECT ON meta, labels, images, history, tallies, queue, leases, members
    TO nbannotate_annotator, nbannotate_reviewer;
GRANT INSERT, UPDATE, DELETE ON labels TO nbannotate_annotator, nbannotate_reviewer;
GRANT INSERT,
    UPDATE (path, width, height, bytes, hash, status, split, annotator, seconds, updated, note, unsure)
    ON images TO nbannotate_annotator, nbannotate_reviewer;
-- Not seq: the server gives it, so that nobody can write something into the past.
GRANT INSERT (
    batch, reverses, at, annotator, seconds, op, label_id, image, before, after, facts
) ON history TO nbannotate_annotator, nbannotate_reviewer;
GRANT USAGE ON SEQUENCE history_seq_seq TO nbannotate_annotator, nbannotate_reviewer;
GRANT SELECT (client, seq), INSERT (client, seq), UPDATE (seq) ON clients
    TO nbannotate_annotator, nbannotate_reviewer;
GRANT INSERT, UPDATE, DELETE ON tallies TO nbannotate_annotator, nbannotate_reviewer;
GRANT INSERT, UPDATE (place) ON queue TO nbannotate_annotator, nbannotate_reviewer;
GRANT INSERT, UPDATE (until), DELETE ON leases TO nbannotate_annotator, nbannotate_reviewer;
GRANT INSERT ON members TO nbannotate_annotator, nbannotate_reviewer;

-- What it may do to which rows. For all but the owner, a table has the rows that a policy names.

ALTER TABLE meta ENABLE ROW LEVEL SECURITY;
ALTER TABLE labels ENABLE ROW LEVEL SECURITY;
ALTER TABLE images ENABLE ROW LEVEL SECURITY;
ALTER TABLE history ENABLE ROW LEVEL SECURITY;
ALTER TABLE clients ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallies ENABLE ROW LEVEL SECURITY;
ALTER TABLE queue ENABLE ROW LEVEL SECURITY;
ALTER TABLE leases ENABLE ROW LEVEL SECURITY;
ALTER TABLE members ENABLE ROW LEVEL SECURITY;

-- members: a login knows its own name only, so that a pseudonym stays one. The first name that it
-- uses is its own from then on: one that nobody has used, or that of the login itself. The login
-- is session_user, which SET ROLE does not change.
DROP POLICY IF EXISTS all_read ON members;
CREATE POLICY all_read ON members FOR SELECT
    TO nbannotate_annotator, nbannotate_reviewer
    USING (login = session_user);
DROP POLICY IF EXISTS all_claim ON members;
CREATE POLICY all_claim ON members FOR INSERT
    TO nbannotate_annotator, nbannotate_reviewer
    WITH CHECK (
        login = session_user
        AND annotator <> ''
        AND (
            annotator = login
            OR NOT EXISTS (SELECT FROM history WHERE history.annotator = members.annotator)
        )
    );

DROP POLICY IF EXISTS all_read ON meta;
CREATE POLICY all_read ON meta FOR SELECT
    TO nbannotate_annotator, nbannotate_reviewer
    USING (true);

DROP POLICY IF EXISTS all_read ON labels;
CREATE POLICY all_read ON labels FOR SELECT
    TO nbannotate_annotator, nbannotate_reviewer
    USING (true);
DROP POLICY IF EXISTS annotators_change ON labels;
CREATE POLICY annotators_change ON labels
    TO nbannotate_annotator
    USING (annotator = (SELECT members.annotator FROM members WHERE login = session_user));
DROP POLICY IF EXISTS reviewers_change ON labels;
CREATE POLICY reviewers_change ON labels
    TO nbannotate_reviewer
    USING (true);

-- images: shared by all; each row has the name of who changed it last.
DROP POLICY IF EXISTS all_read ON images;
CREATE POLICY all_read ON images FOR SELECT
    TO nbannotate_annotator, nbannotate_reviewer
    USING (true);
DROP POLICY IF EXISTS all_add ON images;
CREATE POLICY all_add ON images FOR INSERT
    TO nbannotate_annotator, nbannotate_reviewer
    WITH CHECK (annotator = (SELECT members.annotator FROM members WHERE login = session_user));
DROP POLICY IF EXISTS all_change ON images;
CREATE POLICY all_change ON images FOR UPDATE
    TO nbannotate_annotator, nbannotate_reviewer
    USING (true)
    WITH CHECK (annotator = (SELECT members.annotator FROM members WHERE login = session_user));

-- history: added to at its end, under one's own name, in batches that are not another's, and
-- with no edit of the scheme. What an annotator writes of a label is of one that is its own.
DROP POLICY IF EXISTS all_read ON history;
CREATE POLICY all_read ON history FOR SELECT
    TO nbannotate_annotator, nbannotate_reviewer
    USING (true);
DROP POLICY IF EXISTS annotators_append ON history;
CREATE POLICY annotators_append ON history FOR INSERT
    TO nbannotate_annotator
    WITH CHECK (
        op IN ('create', 'update', 'delete', 'image')
        AND annotator = (SELECT members.annotator FROM members WHERE login = session_user)
        AND coalesce(
            (
                SELECT history.batch = last.batch + 1
                    OR (history.batch = last.batch
                        AND history.annotator IS NOT DISTINCT FROM last.annotator)
                FROM history AS last ORDER BY last.seq DESC LIMIT 1
            ),
            batch = 1
        )
        AND (op <> 'create' OR after ->> 'annotator' = annotator)
        AND (op <> 'delete' OR before ->> 'annotator' = annotator)
        AND NOT EXISTS (
            SELECT FROM labels
            WHERE labels.label_id = history.label_id
                AND labels.annotator IS DISTINCT FROM history.annotator
        )
    );
DROP POLICY IF EXISTS reviewers_append ON history;
CREATE POLICY reviewers_append ON history FOR INSERT
    TO nbannotate_reviewer
    WITH CHECK (
        op IN ('create', 'update', 'delete', 'image')
        AND annotator = (SELECT members.annotator FROM members WHERE login = session_user)
        AND coalesce(
            (
                SELECT history.batch = last.batch + 1
                    OR (history.batch = last.batch
                        AND history.annotator IS NOT DISTINCT FROM last.annotator)
                FROM history AS last ORDER BY last.seq DESC LIMIT 1
            ),
            batch = 1
        )
    );

-- clients: a number that another raises would make the edits of this browser count as saved.
DROP POLICY IF EXISTS all_read ON clients;
CREATE POLICY all_read ON clients FOR SELECT
    TO nbannotate_annotator, nbannotate_reviewer
    USING (true);
DROP POLICY IF EXISTS all_count ON clients;
CREATE POLICY all_count ON clients
    TO nbannotate_annotator, nbannotate_reviewer
    USING (login = session_user OR login IS NULL);

-- tallies: sums of what is in the other tables.
DROP POLICY IF EXISTS all_sum ON tallies;
CREATE POLICY all_sum ON tallies
    TO nbannotate_annotator, nbannotate_reviewer
    USING (true);

-- queue: to take an image in hand its row is locked, for which one must be allowed to change it;
-- but no row passes the check of what a change leaves.
DROP POLICY IF EXISTS all_read ON queue;
CREATE POLICY all_read ON queue FOR SELECT
    TO nbannotate_annotator, nbannotate_reviewer
    USING (true);
DROP POLICY IF EXISTS all_add ON queue;
CREATE POLICY all_add ON queue FOR INSERT
    TO nbannotate_annotator, nbannotate_reviewer
    WITH CHECK (true);
DROP POLICY IF EXISTS all_lock ON queue;
CREATE POLICY all_lock ON queue FOR UPDATE
    TO nbannotate_annotator, nbannotate_reviewer
    USING (true)
    WITH CHECK (false);

-- leases: one's own, and what has run out may be cleared away.
DROP POLICY IF EXISTS all_read ON leases;
CREATE POLICY all_read ON leases FOR SELECT
    TO nbannotate_annotator, nbannotate_reviewer
    USING (true);
DROP POLICY IF EXISTS all_hold ON leases;
CREATE POLICY all_hold ON leases
    TO nbannotate_annotator, nbannotate_reviewer
    USING (annotator = (SELECT members.annotator FROM members WHERE login = session_user));
DROP POLICY IF EXISTS all_clear ON leases;
CREATE POLICY all_clear ON leases FOR DELETE
    TO nbannotate_annotator, nbannotate_reviewer
    USING (until < extract(epoch FROM clock_timestamp()) * 1e6);
