package generator_test

import (
	"bytes"
	"encoding/csv"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports/generator"
)

func TestTheSameOptionsWriteTheSameBytes(t *testing.T) {
	t.Parallel()
	for _, format := range generator.Formats {
		opts := generator.Options{Seed: 7, Rows: 3000, Format: format}
		var first, again, other bytes.Buffer
		one, err := generator.Write(&first, opts)
		require.NoError(t, err)
		two, err := generator.Write(&again, opts)
		require.NoError(t, err)
		require.Equal(t, one, two)
		require.True(t, bytes.Equal(first.Bytes(), again.Bytes()), "%s: the bytes differ", format)
		opts.Seed++
		_, err = generator.Write(&other, opts)
		require.NoError(t, err)
		require.False(t, bytes.Equal(first.Bytes(), other.Bytes()), "%s: another seed must write other bytes", format)
	}
}

// The numbers of columns are those of the provider's pages.
func TestTemplatesHaveTheDocumentedColumns(t *testing.T) {
	t.Parallel()
	for version, width := range map[int]int{3: 32, 4: 40, 5: 44, 6: 44, 7: 43} {
		var file bytes.Buffer
		_, err := generator.Write(&file, generator.Options{Rows: 1, Version: version})
		require.NoError(t, err)
		header, _, _ := strings.Cut(file.String(), "\n")
		require.Len(t, strings.Split(header, ","), width, "template %d", version)
	}
	var file bytes.Buffer
	_, err := generator.WriteCustomers(&file, generator.Options{Rows: 1})
	require.NoError(t, err)
	header, _, _ := strings.Cut(file.String(), "\n")
	require.Len(t, strings.Split(header, ";"), 51)
}

func TestEveryKindOfTransactionIsWritten(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	s, err := generator.Write(&file, generator.Options{Rows: 20_000, Version: 6})
	require.NoError(t, err)
	require.EqualValues(t, 20_000, s.Rows)
	require.Less(t, s.Transactions, s.Rows, "some have several versions")
	for name, n := range map[string]int64{
		"refunded": s.Refunded, "reversed": s.Reversed, "sandbox": s.Sandbox, "trials": s.Trials, "family": s.FamilyShared, "invalidated": s.Invalidated,
	} {
		require.Positive(t, n, name)
	}
	rows := csv.NewReader(&file)
	rows.ReuseRecord = true
	n := int64(-1) // the header
	for {
		_, err := rows.Read()
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
		n++
	}
	require.Equal(t, s.Rows, n)
}

// Lines of a file are held against what its version is told to look like.
func TestAMixedExportHasEveryVersion(t *testing.T) {
	t.Parallel()
	files := generator.Mixed(generator.Options{Seed: 3, Rows: 10_001})
	rows, headers := int64(0), map[string]bool{}
	for i, opts := range files {
		var file bytes.Buffer
		s, err := generator.Write(&file, opts)
		require.NoError(t, err)
		rows += s.Rows
		header, body, _ := strings.Cut(file.String(), "\n")
		headers[header] = true
		comma, braces, flags, doubled := i != 1, i == 0, i == 0, i != 2
		require.Equal(t, comma, strings.Contains(header, ","), "%d: %s", i, header)
		require.Equal(t, !comma, strings.Contains(header, ";"), "%d: %s", i, header)
		if opts.Columns != nil {
			require.NotContains(t, header, "country")
			continue
		}
		require.Equal(t, braces, strings.Contains(body, `"{vip,full_access}"`), "template %d", opts.Version)
		require.Equal(t, !braces, strings.Contains(body, `[""vip"", ""full_access""]`), "template %d", opts.Version)
		require.Equal(t, !flags, strings.Contains(body, "false"), "template %d", opts.Version)
		require.Equal(t, doubled, strings.Contains(body, `{""$email""`), "template %d", opts.Version)
	}
	require.Len(t, files, 6)
	require.EqualValues(t, 10_001, rows)
	require.Len(t, headers, 5, "templates 5 and 6 have the same columns")
}
