package backfill_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// Two events that cannot be committed together are tried one by one. When the first of
// them cannot be committed then either, for a reason that is not its own, the checkpoint
// stays before it: the second one must not carry it past a line that nobody took.
func TestNoLineIsPassedWhenTheOneBeforeItWasNotTaken(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	_, err := db.Exec(`CREATE SEQUENCE tries;
		CREATE FUNCTION refuse_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('tries') = 1 THEN RAISE 'at first its values are blamed' USING ERRCODE = '22000'; END IF;
			RAISE 'and then the server' USING ERRCODE = 'XX000';
		END $$;
		CREATE TRIGGER refuse_first BEFORE INSERT ON webhook_keys FOR EACH ROW WHEN (NEW.event_key LIKE '%first%') EXECUTE FUNCTION refuse_first()`)
	require.NoError(t, err)
	path := write(t, "two.jsonl", body("first", "RENEWAL", "ann", ofProduction)+"\n"+body("second", "RENEWAL", "bob", ofProduction)+"\n")

	run, err := runFeed(t.Context(), newFeedEngine(db), exports.Events, path)
	require.ErrorContains(t, err, "and then the server")
	require.Equal(t, backfill.Failed, run.State)
	require.Zero(t, count(t, db, "SELECT max(row_done) FROM backfill_files"))

	_, err = db.Exec("DROP TRIGGER refuse_first ON webhook_keys")
	require.NoError(t, err)
	run, err = runFeed(t.Context(), newFeedEngine(db), exports.Events, path)
	require.NoError(t, err)
	require.Equal(t, backfill.Done, run.State)
	require.Equal(t, 2, count(t, db, "SELECT count(*) FROM webhook_events"))
}
