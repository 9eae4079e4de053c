package console

// Patterns are the addresses of the console, as its mux has them.
func (c *Console) Patterns() []string { return c.patterns }

// What tests compare with.
const (
	ScanMax     = scanMax
	PageSize    = pageSize
	SessionMax  = sessionMax
	IdleMax     = idleMax
	LoginBurst  = addressBurst
	LoginsBurst = globalBurst
)

// WithoutAttributes, Mask and Number are tested as tables.
var (
	WithoutAttributes = withoutAttributes
	Mask              = func(text string) string { return mask(text) }
	Number            = number
	Money             = money
)
