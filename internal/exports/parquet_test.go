package exports

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/stretchr/testify/require"
)

// What type a writer of Parquet chooses is not documented, so each that can hold the
// column is read.
func TestEveryTypeOfParquetBecomesItsText(t *testing.T) {
	t.Parallel()
	const seconds = 1_772_359_200 // 2026-03-01 10:00:00
	for name, c := range map[string]struct {
		node  parquet.Node
		value parquet.Value
		want  string
	}{
		"text":                {parquet.String(), parquet.ByteArrayValue([]byte("a")), "a"},
		"bytes":               {parquet.Leaf(parquet.ByteArrayType), parquet.ByteArrayValue([]byte("a")), "a"},
		"JSON":                {parquet.JSON(), parquet.ByteArrayValue([]byte("{}")), "{}"},
		"boolean":             {parquet.Leaf(parquet.BooleanType), parquet.BooleanValue(true), "true"},
		"integer":             {parquet.Int(64), parquet.Int64Value(-5), "-5"},
		"short integer":       {parquet.Int(32), parquet.Int32Value(7), "7"},
		"milliseconds":        {parquet.Timestamp(parquet.Millisecond), parquet.Int64Value(seconds*1e3 + 5), "2026-03-01 10:00:00.005"},
		"microseconds":        {parquet.Timestamp(parquet.Microsecond), parquet.Int64Value(seconds * 1e6), "2026-03-01 10:00:00"},
		"nanoseconds":         {parquet.Timestamp(parquet.Nanosecond), parquet.Int64Value(seconds*1e9 + 1), "2026-03-01 10:00:00.000000001"},
		"before 1970":         {parquet.Timestamp(parquet.Millisecond), parquet.Int64Value(-1), "1969-12-31 23:59:59.999"},
		"Julian day":          {parquet.Leaf(parquet.Int96Type), parquet.Int96Value(deprecated.Int96{3_879_092_224, 8381, 2_461_101}), "2026-03-01 10:00:00"},
		"date":                {parquet.Date(), parquet.Int32Value(20_513), "2026-03-01 00:00:00"},
		"double":              {parquet.Leaf(parquet.DoubleType), parquet.DoubleValue(9.99), "9.99"},
		"float":               {parquet.Leaf(parquet.FloatType), parquet.FloatValue(9.99), "9.99"},
		"no number":           {parquet.Leaf(parquet.DoubleType), parquet.DoubleValue(nan()), ""},
		"decimal, 32 bits":    {parquet.Decimal(2, 9, parquet.Int32Type), parquet.Int32Value(-999), "-9.99"},
		"decimal, 64 bits":    {parquet.Decimal(6, 18, parquet.Int64Type), parquet.Int64Value(9_990_000), "9.990000"},
		"decimal, whole":      {parquet.Decimal(0, 38, parquet.FixedLenByteArrayType(16)), parquet.FixedLenByteArrayValue(append(make([]byte, 15), 42)), "42"},
		"decimal, many bytes": {parquet.Decimal(2, 38, parquet.FixedLenByteArrayType(16)), parquet.FixedLenByteArrayValue(bytes.Repeat([]byte{0xff}, 16)), "-0.01"},
	} {
		require.Equal(t, c.want, string(readingOf(c.node.Type()).append(nil, c.value)), name)
	}
}

func nan() float64 {
	zero := 0.0
	return zero / zero
}

// A column that a rule reads and that holds lists is no guess of ours.
func TestAListWhereAValueIsNeededIsTold(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[struct {
		Store []string `parquet:"store,list"`
	}](&b)
	require.NoError(t, w.Close())
	_, err := openMemory(t, b.Bytes(), Options{})
	require.ErrorContains(t, err, "column store holds lists")
}

// parquetRow has the columns that a transactions export must have.
type parquetRow struct {
	User      string     `parquet:"rc_original_app_user_id"`
	Product   string     `parquet:"product_identifier"`
	Start     time.Time  `parquet:"start_time,timestamp(millisecond)"`
	End       *time.Time `parquet:"end_time,optional"`
	Store     string     `parquet:"store,dict"`
	Renewable bool       `parquet:"is_auto_renewable"`
	Trial     bool       `parquet:"is_trial_period"`
	Sandbox   bool       `parquet:"is_sandbox"`
	ID        string     `parquet:"store_transaction_id"`
	Refunded  *time.Time `parquet:"refunded_at,optional"`
	Renewal   int32      `parquet:"renewal_number"`
	Ownership string     `parquet:"ownership_type"`
}

// A Parquet file is read group by group, and after a checkpoint in any of them.
func TestGroupsOfParquetAreOneFile(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[parquetRow](&b, parquet.MaxRowsPerRowGroup(100), parquet.PageBufferSize(256))
	const rows = 350
	for n := range rows {
		_, err := w.Write([]parquetRow{{
			User: "p", Product: "gems", Start: time.UnixMilli(1_772_359_200_000), Store: "app_store", ID: fmt.Sprint("t", n+1), Renewal: 1, Ownership: "PURCHASED",
		}})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	for _, from := range []int64{0, 1, 99, 100, 101, 250, 349, 350, 351} {
		r, err := openMemory(t, b.Bytes(), Options{FromRow: from})
		require.NoError(t, err)
		for n := from + 1; n <= rows; n++ {
			row, err := r.Next()
			require.NoError(t, err)
			require.Equal(t, n, row.Row)
			require.Equal(t, n+1, row.Line)
			require.Equal(t, fmt.Sprint("t", n), row.Fact.Key.TransactionID)
		}
		_, err = r.Next()
		require.ErrorIs(t, err, io.EOF)
		require.EqualValues(t, rows, r.Row())
		require.NoError(t, r.Close())
	}
}
