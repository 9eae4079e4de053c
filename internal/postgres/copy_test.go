package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/testenv"
)

func TestRowsAreCopiedAsTheyAre(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	_, err := db.Exec("CREATE TABLE copied (n bigint PRIMARY KEY, body text, doc jsonb, at timestamptz, yes boolean)")
	require.NoError(t, err)
	columns := []string{"n", "body", "doc", "at", "yes"}
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	texts := []string{"", `\N`, "a\tb\nc\rd\\e", strings.Repeat("long ", 40_000), "é\u2028", `\.`}
	var rows postgres.CopyRows
	for n, text := range texts {
		rows.Int(int64(n))
		rows.Text(text)
		rows.JSON([]byte(`{"a": "back\\slash"}`))
		rows.Time(at)
		rows.Bool(n%2 == 0)
		rows.End()
	}
	rows.Int(99)
	for range 4 {
		rows.Null()
	}
	rows.End()
	conn, err := db.Connx(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	copied := func(ctx context.Context) error {
		tx, err := conn.BeginTxx(t.Context(), nil)
		require.NoError(t, err)
		if err := postgres.Copy(ctx, conn, "copied", columns, &rows); err != nil {
			require.NoError(t, tx.Rollback())
			return err
		}
		return tx.Commit()
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, copied(ended), context.Canceled)
	require.NoError(t, copied(t.Context()))
	require.Equal(t, "23505", postgres.Code(copied(t.Context())), "the same again; all of it or nothing")
	var got []struct {
		N    int64      `db:"n"`
		Body *string    `db:"body"`
		At   *time.Time `db:"at"`
		Yes  *bool      `db:"yes"`
	}
	require.NoError(t, db.Select(&got, "SELECT n, body, at, yes FROM copied ORDER BY n"))
	require.Len(t, got, len(texts)+1)
	for n, text := range texts {
		require.Equal(t, text, *got[n].Body)
		require.True(t, got[n].At.Equal(at))
		require.Equal(t, n%2 == 0, *got[n].Yes)
	}
	require.Nil(t, got[len(texts)].Body)
	rows.Reset()
	require.Zero(t, rows.Len()+rows.Size())
	require.NoError(t, copied(t.Context()), "no rows are no work")
}

func TestMomentsAreCopiedToTheMicrosecond(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	_, err := db.Exec("CREATE TABLE moments (n bigint, at timestamptz)")
	require.NoError(t, err)
	east := time.FixedZone("east", 5*3600+1800)
	moments := []time.Time{
		time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC), time.Date(2026, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(2026, 1, 2, 3, 4, 5, 1000, time.UTC),
		time.Date(2026, 10, 20, 10, 20, 30, 0, time.UTC), time.Date(2026, 1, 1, 0, 0, 0, 0, east), time.Date(1, 2, 3, 4, 5, 6, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 999, time.UTC),
	}
	var rows postgres.CopyRows
	for n, at := range moments {
		rows.Int(int64(n))
		rows.Time(at)
		rows.End()
	}
	conn, err := db.Connx(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = conn.ExecContext(t.Context(), "SET timezone = 'Asia/Kathmandu'") // whatever the session's is
	require.NoError(t, err)
	tx, err := conn.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, postgres.Copy(t.Context(), conn, "moments", []string{"n", "at"}, &rows))
	require.NoError(t, tx.Commit())
	var got []time.Time
	require.NoError(t, db.Select(&got, "SELECT at FROM moments ORDER BY n"))
	require.Len(t, got, len(moments))
	for n, at := range moments {
		require.Equal(t, at.UTC().Truncate(time.Microsecond), got[n].UTC())
	}
}
