package config

import "strings"

// TraceID stands for a trace's id in the address where people look at traces.
const TraceID = "{trace}"

// TraceLink returns where to look at a trace, or its id when no address is set.
func (c Config) TraceLink(traceID string) string {
	if c.TraceURL == "" || traceID == "" {
		return traceID
	}
	return strings.ReplaceAll(c.TraceURL, TraceID, traceID)
}
