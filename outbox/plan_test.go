package outbox

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv"
)

// Plans are kept, also those that were made while the outbox was empty, and a burst fills
// it within the minute.
func TestADeliveryIsFoundByItsKeyWhenTheOutboxWasEmpty(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	_, err := db.Exec("VACUUM ANALYZE outbox")
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	_, err = db.Exec(planning)
	require.NoError(t, err)
	for _, st := range []statement{
		plan([]*Kind{finishKind}, []*Kind{doneKind}), plan([]*Kind{parkKind}, nil), plan([]*Kind{failedKind}, nil), plan([]*Kind{deadLetterKind}, nil),
	} {
		sql := st.sql()
		params := 0
		for _, kind := range st.kinds {
			params += 1 + len(kind.Columns)
		}
		_, err := db.Exec("PREPARE kept AS " + sql)
		require.NoError(t, err)
		var lines []string
		require.NoError(t, db.Select(&lines, "EXPLAIN EXECUTE kept("+strings.TrimSuffix(strings.Repeat("NULL,", params), ",")+")"))
		_, err = db.Exec("DEALLOCATE kept")
		require.NoError(t, err)
		scans := 0
		for i, line := range lines {
			if strings.Contains(line, "Scan") && strings.Contains(line, " on outbox o") {
				scans++
				require.Contains(t, lines[i+1], "Index Cond: ((event_id = ", "%s:\n%s", st.key, strings.Join(lines, "\n"))
			}
		}
		require.Positive(t, scans, strings.Join(lines, "\n"))
	}
}
