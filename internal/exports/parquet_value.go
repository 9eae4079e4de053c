package exports

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// reading is how the values of a Parquet column become the text that a CSV would
// have: one set of rules reads both.
type reading struct {
	unit  time.Duration // of a timestamp; 0: it is none
	date  bool
	scale int32 // of a decimal
	// decimal tells bytes that are a number from bytes that are a text.
	decimal bool
}

func readingOf(t parquet.Type) reading {
	if logical := t.LogicalType(); logical != nil {
		switch v := logical.Value.(type) {
		case *format.TimestampType:
			return reading{unit: v.Unit.Value.Duration()}
		case *format.DecimalType:
			return reading{decimal: true, scale: v.Scale}
		case *format.DateType:
			return reading{date: true}
		}
	}
	if converted := t.ConvertedType(); converted != nil {
		switch *converted {
		case deprecated.TimestampMillis:
			return reading{unit: time.Millisecond}
		case deprecated.TimestampMicros:
			return reading{unit: time.Microsecond}
		case deprecated.Date:
			return reading{date: true}
		default:
		}
	}
	return reading{}
}

const plainTime = "2006-01-02 15:04:05.999999999"

// append adds the text of a value that is not NULL. What is no number stays empty, as
// NULL does.
func (r reading) append(text []byte, v parquet.Value) []byte {
	switch v.Kind() {
	case parquet.Boolean:
		return strconv.AppendBool(text, v.Boolean())
	case parquet.Int32:
		return r.integer(text, int64(v.Int32()))
	case parquet.Int64:
		return r.integer(text, v.Int64())
	case parquet.Int96:
		return julian(text, v.Int96())
	case parquet.Float:
		return float(text, float64(v.Float()), 32)
	case parquet.Double:
		return float(text, v.Double(), 64)
	case parquet.ByteArray, parquet.FixedLenByteArray:
	}
	if r.decimal {
		return r.number(text, signed(v.ByteArray()))
	}
	return append(text, v.ByteArray()...)
}

func (r reading) integer(text []byte, n int64) []byte {
	switch {
	case r.unit > 0:
		perSecond := int64(time.Second / r.unit)
		seconds, rest := n/perSecond, n%perSecond
		return time.Unix(seconds, rest*int64(r.unit)).UTC().AppendFormat(text, plainTime)
	case r.date:
		return time.Unix(n*24*60*60, 0).UTC().AppendFormat(text, plainTime)
	case r.decimal:
		return r.number(text, big.NewInt(n))
	}
	return strconv.AppendInt(text, n, 10)
}

// number is n / 10^scale, exactly.
func (r reading) number(text []byte, n *big.Int) []byte {
	scale := max(0, int(r.scale))
	rat := new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(min(scale, 40))), nil))
	return append(text, rat.FloatString(min(scale, 40))...)
}

// signed reads a big-endian number in two's complement.
func signed(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(b)*8)))
	}
	return n
}

// float writes the shortest decimal that stands for the float: the price that was
// written, not what the float makes of it.
func float(text []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return text
	}
	return strconv.AppendFloat(text, f, 'f', -1, bits)
}

// epochDay is 1970-01-01 as a Julian day.
const epochDay = 2_440_588

// julian reads a time as old writers have it: nanoseconds of a Julian day.
func julian(text []byte, v deprecated.Int96) []byte {
	var nanos [8]byte
	binary.LittleEndian.PutUint32(nanos[:4], v[0])
	binary.LittleEndian.PutUint32(nanos[4:], v[1])
	day := (int64(v[2]) - epochDay) * 24 * 60 * 60
	return time.Unix(day, int64(binary.LittleEndian.Uint64(nanos[:]))).UTC().AppendFormat(text, plainTime)
}
