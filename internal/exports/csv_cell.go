package exports

// span is a cell within a record.
type span struct {
	from, to int
	quoting  quoting
}

type quoting byte

const (
	unquoted    quoting = iota
	quoted              // as it stands
	doubled             // quoted, and "" stands for "
	backslashes         // \x stands for x
)

// cell returns the text of a column of the row at hand, good until the next row or
// the next cell. NULL, in the ways that writers of CSV have for it, is empty.
func (s *csvSource) cell(column int) ([]byte, error) {
	sp := s.spans[column]
	raw := s.record[sp.from:sp.to]
	switch sp.quoting {
	case unquoted:
		if isNull(raw) {
			return nil, nil
		}
		return raw, nil
	case quoted:
		return raw, nil
	case doubled:
		s.text = s.text[:0]
		for i := 0; i < len(raw); i++ {
			s.text = append(s.text, raw[i])
			if raw[i] == '"' {
				i++
			}
		}
	case backslashes:
		s.text = s.text[:0]
		for i := 0; i < len(raw); i++ {
			if raw[i] == '\\' && i+1 < len(raw) {
				i++
			}
			s.text = append(s.text, raw[i])
		}
	}
	return s.text, nil
}

// isNull: Snowflake, which the provider names, writes \N unless told otherwise.
func isNull(cell []byte) bool {
	switch len(cell) {
	case 0:
		return true
	case 2:
		return string(cell) == `\N`
	case 4:
		return string(cell) == "null" || string(cell) == "NULL"
	}
	return false
}
