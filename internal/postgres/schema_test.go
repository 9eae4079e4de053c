package postgres_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/testenv"
)

func TestSchemaTellsEverything(t *testing.T) {
	t.Parallel()
	db, _ := emptyDatabase(t)
	_, err := db.ExecContext(t.Context(), `
		CREATE TYPE mood AS ENUM ('sad', 'glad');
		CREATE TABLE spends (
			id uuid CONSTRAINT spends_pkey PRIMARY KEY,
			seq bigint GENERATED ALWAYS AS IDENTITY,
			cost bigint NOT NULL DEFAULT 1 CONSTRAINT spends_cost_check CHECK (cost > 0),
			twice bigint GENERATED ALWAYS AS (cost * 2) STORED,
			key text COLLATE "C",
			at timestamptz(3)[],
			feeling mood
		) WITH (fillfactor = 80);
		CREATE TABLE grants (spend_id uuid REFERENCES spends (id) ON DELETE CASCADE);
		CREATE UNIQUE INDEX spends_key_idx ON spends (key) WHERE cost > 1;
		CREATE VIEW dear AS SELECT 100 AS cost;
		CREATE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 42';`)
	require.NoError(t, err)
	const want = `CREATE OR REPLACE FUNCTION public.answer()
 RETURNS integer
 LANGUAGE sql
AS $function$SELECT 42$function$

VIEW dear AS
 SELECT 100 AS cost;

TABLE grants
  spend_id uuid
  CONSTRAINT grants_spend_id_fkey FOREIGN KEY (spend_id) REFERENCES spends(id) ON DELETE CASCADE

TYPE mood AS ENUM ('sad', 'glad')

TABLE spends WITH (fillfactor=80)
  id uuid NOT NULL
  seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY
  cost bigint NOT NULL DEFAULT 1
  twice bigint GENERATED ALWAYS AS ((cost * 2)) STORED
  key text COLLATE "C"
  at timestamp(3) with time zone[]
  feeling mood
  CONSTRAINT spends_cost_check CHECK ((cost > 0))
  CONSTRAINT spends_pkey PRIMARY KEY (id)
  CREATE UNIQUE INDEX spends_key_idx ON public.spends USING btree (key) WHERE (cost > 1)
`
	got, err := postgres.Schema(t.Context(), db)
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

// The schema that all migrations make, in one file that a reviewer can read. After
// a migration: make golden.
func TestSchemaIsTheOneWeReviewed(t *testing.T) {
	t.Parallel()
	got, err := postgres.Schema(t.Context(), testenv.Postgres(t))
	require.NoError(t, err)
	testenv.Golden(t, filepath.Join("testdata", "schema.golden"), []byte(got))
}
